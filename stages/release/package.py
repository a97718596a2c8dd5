"""A folder that is ready for a model hub and for Ollama.

In: `model`, the model folder with its tokenizer; `quantized`, an artifact of `quantize` (or several by names that begin so), and
of `integers` too; `gate`, the artifact of `gate` that compared them; `evaluation`, if given, an artifact with a `report.md`. Out,
in `out`:

| file | |
|---|---|
| NAME-TYPE.gguf | of each type |
| config.json, generation_config.json, model.safetensors, tokenizer files, chat_template.jinja | the model in full precision, for transformers and vLLM |
| METHOD-intBITS/ | of int4 and int8 weights: the same, compressed |
| Modelfile | for `ollama create`: the file, how chats are laid out, what ends a turn, sampling |
| README.md | the model card (card.py) |
| SHA256SUMS | of all files, for `sha256sum -c` |

What the gate has not seen is not packed: a file must be listed there with its size.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from models.formats.tensors import read_json
from models.quantization.mixture import FileType
from models.tokenizer.load import OWN, load
from stages.pretraining.start import folder_of
from stages.release.card import Card, Release, card
from stages.release.gate import variants
from stages.release.modelfile import modelfile
from stages.release.progress import progress
from stages.release.quantize import chat_template
from stages.stage import Config, Stage
from storage.problem import Problem

MODEL = ("config.json", "generation_config.json")


class PackageConfig(Config):
    """What the package says of the model."""

    name: str = Field("model", min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """The model's name."""
    default: FileType | None = None
    """The type that Ollama is given; null: Q4_K_M, where there is none the first."""
    system: str = ""
    """System message of chats in Ollama; empty: none."""
    temperature: float = Field(0.7, ge=0, le=2)
    """Of sampling in Ollama."""
    card: Card = Card()
    """What the model card says."""
    lineage: tuple[str, ...] = ()
    """Artifacts that the model was made of, the first ones first."""


def run(inputs: Mapping[str, Any], out: Path, config: PackageConfig) -> dict[str, Any]:
    """Pack; back: number and bytes of the files. Raises Problem."""
    folder = folder_of(inputs["model"])
    tokenizer = load(folder)
    gate = folder_of(inputs["gate"])
    compared = dict(pl.read_parquet(gate / "variants.parquet").select("variant", "bytes").iter_rows())
    files: list[str] = []
    given = [one for name, artifact in inputs.items() if name.startswith("quantized") for one in variants(artifact)]
    for place, one in enumerate(given):
        progress(out, place, len(given), "variants", one.name)
        weights = one.path if one.path.is_file() else one.path / "model.safetensors"
        if compared.get(one.name) != weights.stat().st_size:
            raise Problem(
                f"{one.name} ({weights.stat().st_size:,} bytes) is not what `gate` compared; expected the artifacts that it was given"
            )
        if one.path.is_file():
            shutil.copyfile(one.path, out / one.name)
            files.append(one.name)
        else:
            _copy(one.path, out / one.name)
    chosen = next((name for name in files if name.endswith(f"-{config.default or 'Q4_K_M'}.gguf")), None)
    if chosen is None and config.default is None:
        chosen = next(iter(files), None)
    if chosen is None:
        raise Problem(
            f"the default is {config.default or 'a GGUF file'}, and there is {', '.join(files) or 'none'}; expected one of them"
        )
    _copy(folder, out)
    template = chat_template(folder)
    said = modelfile(
        chosen,
        tokenizer,
        read_json(folder / "config.json"),
        bool(template),
        config.system,
        config.temperature,
        config.card.license,
    )
    (out / "Modelfile").write_text(said, encoding="utf-8")
    evaluation = folder_of(inputs["evaluation"]) / "report.md" if "evaluation" in inputs else None
    release = Release(
        config.name, files, chosen, (gate / "table.md").read_text(encoding="utf-8"), template, tokenizer,
        evaluation.read_text(encoding="utf-8") if evaluation else "", config.lineage, folder,
    )  # fmt: skip
    (out / "README.md").write_text(card(release, config.card), encoding="utf-8")
    sums = {name: _sum(out / name) for name in packed(out)}
    (out / "SHA256SUMS").write_text("".join(f"{found}  {name}\n" for name, found in sums.items()), encoding="utf-8")
    return {"files": len(sums) + 1, "bytes": sum((out / name).stat().st_size for name in sums)}


def packed(out: Path) -> list[str]:
    """Every file of the package but hidden ones and the sums."""
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    return [name for name in names if not any(part.startswith(".") for part in name.split("/")) and name != "SHA256SUMS"]


def _copy(folder: Path, target: Path) -> None:
    """A model's own files."""
    target.mkdir(exist_ok=True)
    for name in _own(folder):
        shutil.copyfile(folder / name, target / name)


def _own(folder: Path) -> Iterator[str]:
    index = folder / "model.safetensors.index.json"
    sharded = sorted(set(json.loads(index.read_bytes())["weight_map"].values())) if index.is_file() else []
    for name in (*MODEL, *OWN, "model.safetensors", index.name, *sharded, "method.json"):
        if (folder / name).is_file():
            yield name


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


PACKAGE = Stage(name="package", version=1, run=run, config=PackageConfig, shape="whole")
