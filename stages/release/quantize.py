"""A model to GGUF files, one for each type that is asked for.

In: `model`, a model folder with its tokenizer; `importance`, if given, an artifact of `importance`. Out, in `out`:
`NAME-TYPE.gguf` (models/formats/gguf_file.py), and `tensors.parquet`, a row for each tensor of each file:

| column | type | meaning |
|---|---|---|
| file, type | string | |
| tensor | string | its name in the file |
| kind | string | what it is stored as: rows that do not divide into a kind's blocks get another |
| numbers, bytes | i64 | |

and the tokenizer's files, which `winnow serve` looks for beside a GGUF file. The importance is used where it changes bytes: in
Q6_K and below."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from models.chat.template import FILE as TEMPLATE
from models.formats.gguf_file import About, Importance, write_gguf
from models.formats.gguf_names import held
from models.formats.pretrained import load_model
from models.quantization.footprint import contents
from models.quantization.mixture import FileType
from models.tokenizer.load import load
from models.transformer.shape import Shape
from stages.pretraining.start import folder_of
from stages.release.importance import read_importance
from stages.release.progress import progress
from stages.stage import Config, Stage
from storage.problem import Problem
from storage.shards import encode

AIMED: tuple[FileType, ...] = ("Q6_K", "Q5_K_M", "Q5_K_S", "Q4_K_M", "Q4_K_S", "Q4_0")
"""Types that importance changes."""
TENSORS: dict[str, pl.DataType] = {
    "file": pl.String(),
    "type": pl.String(),
    "tensor": pl.String(),
    "kind": pl.String(),
    "numbers": pl.Int64(),
    "bytes": pl.Int64(),
}


class QuantizeConfig(Config):
    """Which files are written, and what they say of the model."""

    types: tuple[FileType, ...] = Field(("F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M"), min_length=1)
    """File types of llama.cpp."""
    name: str = Field("model", min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """The model's name: the files' begin with it."""
    license: str = ""
    """SPDX name of the licence, such as apache-2.0; empty: the files name none."""


def run(inputs: Mapping[str, Any], out: Path, config: QuantizeConfig) -> dict[str, Any]:
    """Write the files; back: their sizes. Raises Problem and Unusable."""
    folder = folder_of(inputs["model"])
    model, tokenizer = load_model(folder), load(folder)
    shape = model.shape
    importance = gguf_importance(shape, read_importance(inputs["importance"])) if "importance" in inputs else None
    rows, sizes = [], {}
    types = list(dict.fromkeys(config.types))
    for place, file_type in enumerate(types):
        progress(out, place, len(types), "files", file_type)
        name = f"{config.name}-{file_type}.gguf"
        mine = importance if file_type in AIMED else None
        about = About(config.name, config.license, chat_template(folder), "the corpus" if mine else "")
        write_gguf(out / name, model, tokenizer, file_type, about, mine)
        rows += [(name, file_type, *astuple(one)) for one in contents(shape, file_type, mine is not None)]
        sizes[file_type] = (out / name).stat().st_size
    tokenizer.save(out)
    if (folder / TEMPLATE).is_file():
        (out / TEMPLATE).write_bytes((folder / TEMPLATE).read_bytes())
    (out / "tensors.parquet").write_bytes(encode(pl.DataFrame(rows, schema=TENSORS, orient="row"), TENSORS))
    return {f"bytes_{file_type}": size for file_type, size in sizes.items()}


def gguf_importance(shape: Shape, importance: Importance) -> Importance:
    """By the tensors' names in a GGUF file. Parts of one tensor are multiplied by the same."""
    return {one.name: importance[one.parts[0]] for one in held(shape) if one.parts and one.parts[0] in importance}


def chat_template(folder: Path) -> str:
    """Of a model folder, of several the default one; empty where it has none. Raises Problem where it is not told which one it is."""
    if (folder / TEMPLATE).is_file():
        return (folder / TEMPLATE).read_text(encoding="utf-8")
    config = folder / "tokenizer_config.json"
    said = json.loads(config.read_bytes()).get("chat_template") if config.is_file() else None
    if isinstance(said, list):  # several, by their names
        said = {one.get("name"): one.get("template") for one in said if isinstance(one, dict)}.get("default")
        if not isinstance(said, str):
            raise Problem(
                f"{config} has a list of chat templates and none of the name default; expected one, or {TEMPLATE} beside it"
            )
    return said if isinstance(said, str) else ""


QUANTIZE = Stage(name="quantize", version=2, run=run, config=QuantizeConfig, shape="whole")
