"""The safetensors files of a model folder: one file, or shards named by model.safetensors.index.json. Pickles are never opened."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from models.unusable import Unusable

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
_READ = ("F32", "F16", "BF16")


class Stored:
    """What the files of a folder hold, by name; a tensor is read when it is asked for."""

    def __init__(self, files: Mapping[str, Any]) -> None:
        self._files = files

    @property
    def names(self) -> set[str]:
        return set(self._files)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._files[name].get_slice(name).get_shape())

    def tensor(self, name: str) -> Tensor:
        """Mapped from the file: copy it before the file may change."""
        kind = self._files[name].get_slice(name).get_dtype()
        if kind not in _READ:
            raise Unusable(f"{name} is stored as {kind}; expected {', '.join(_READ)} (quantized weights are not read)")
        tensor: Tensor = self._files[name].get_tensor(name)
        return tensor


@contextmanager
def stored(folder: Path, name: str = "") -> Iterator[Stored]:
    """Of a model, or of the one file `name`. Raises Unusable where a file is missing, cut short or damaged."""
    with ExitStack() as stack:
        opened = {file: stack.enter_context(_open(folder / file)) for file in ([name] if name else _files(folder))}
        yield Stored({name: file for file in opened.values() for name in list(file.keys())})


def _files(folder: Path) -> list[str]:
    if (folder / SINGLE).is_file():
        return [SINGLE]
    if not (folder / INDEX).is_file():
        pickled = next(iter(sorted(folder.glob("*.bin")) + sorted(folder.glob("*.pt*"))), None)
        hint = (
            f"; {pickled.name} is a pickle, which may run code: convert it with transformers' save_pretrained" if pickled else ""
        )
        raise Unusable(f"{folder} holds neither {SINGLE} nor {INDEX}{hint}")
    index = read_json(folder / INDEX)
    where = index.get("weight_map")
    if not isinstance(where, dict) or not all(isinstance(file, str) for file in where.values()) or not where:
        raise Unusable(f"{folder / INDEX} has no weight_map; expected an object that names each tensor's file")
    files = sorted(set(where.values()))
    for file in files:
        if Path(file).name != file or not (folder / file).is_file():
            raise Unusable(f"{folder / INDEX} names {file!r}, which is no file of this folder; download it anew")
    return files


def _open(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except FileNotFoundError:
        raise Unusable(f"{path} is missing; copy the folder anew") from None
    except SafetensorError as error:
        raise Unusable(f"{path} ({path.stat().st_size:,} bytes) is cut short or damaged: {error}; copy it anew") from None


def read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise Unusable(f"{path} is missing; expected a Hugging Face model folder") from None
    except (ValueError, OSError) as error:
        raise Unusable(f"{path} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise Unusable(f"{path} holds {type(value).__name__}; expected an object")
    return value
