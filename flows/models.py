"""What a person calls a model, to the folder on this machine that holds it.

| text | means |
|---|---|
| `pretrain`, `pretrain@latest`, a key, `stage/key@snapshot`, the path of an artifact | an artifact with a model (storage/artifact.py); its files are checked against their digests, and fetched if the store is remote |
| any other folder with a config.json | a model in Hugging Face's format |
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.work import Artifact, open_side
from storage.artifact import resolve
from storage.problem import Problem
from storage.snapshot import Snapshot
from storage.store import Store

if TYPE_CHECKING:
    import torch

SMALL = 50_000_000  # parameters; below, two threads wait for each other longer than they compute
CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")


def model_folder(store: Store, text: str) -> Path:
    """Raises Problem where `text` means no model, or a file of it is gone or altered."""
    path = Path(text).expanduser()
    if path.is_dir():
        home = _store_of(path)
        if home is None:
            _expect_model({file.name for file in path.iterdir()}, str(path))
            return path
        store, text = home, f"{path.resolve().parent.name}/{path.resolve().name}"
    snapshot = resolve(store, text)
    _expect_model({file.name for file in snapshot.files}, snapshot.reference)
    return local(store, snapshot)


def local(store: Store, snapshot: Snapshot) -> Path:
    """The artifact's files, checked, in a folder of this machine."""
    return Path(open_side(store, Artifact(snapshot.stage, snapshot.key, snapshot.id)).folder)


def placed(device: str, dtype: str) -> "tuple[str, torch.dtype]":
    """Where and in which type a model runs, from what a person says: auto, or a name. Raises Problem."""
    import torch

    if device not in ("auto", "cpu", "cuda"):
        raise Problem(f"--device {device}: expected auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise Problem("--device cuda: PyTorch finds no GPU on this machine; leave it out, or give cpu")
    place = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    types = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    types["auto"] = torch.bfloat16 if place == "cuda" else torch.float32
    if dtype not in types:
        raise Problem(f"--dtype {dtype}: expected float32, bfloat16 or auto")
    return place, types[dtype]


def threads_for(model: Any, threads: int) -> int:
    """Of the CPU; 0 of a model that is not small: as many as PyTorch takes by itself."""
    return threads or int(sum(weight.numel() for weight in model.parameters()) < SMALL)


def _store_of(path: Path) -> Store | None:
    """The store in which a folder is an artifact: there are its snapshots."""
    whole = path.resolve()
    return Store(str(whole.parent.parent)) if (whole / "snapshots").is_dir() and (whole / "recipe.json").is_file() else None


def _expect_model(names: set[str], where: str) -> None:
    if CONFIG in names and not names.isdisjoint(WEIGHTS):
        return
    some = ", ".join(sorted(names)[:5]) or "nothing"
    raise Problem(
        f"{where} holds no model: found {some}{' ...' if len(names) > 5 else ''}, expected {CONFIG} and {WEIGHTS[0]}. Give what training "
        "made (pretrain@latest, a key, a path) or the folder of a Hugging Face model"
    )
