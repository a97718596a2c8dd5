"""The importance matrix: which columns of each matrix count, measured on text.

In: `model`, a model folder with its tokenizer; text of the corpus, `text` and `tokens` or `training`
(stages/evaluation/documents.py); `compute`, where and how to run. Out, in `out`: `importance.parquet`, a row for each matrix (of
a stack of experts for each expert):

| column | type | meaning |
|---|---|---|
| tensor | string | the parameter's name in models/transformer |
| expert | i32 | null where there are none |
| tokens | i64 | that reached it |
| mean_square | list of f32 | of each input column |

Source: llama.cpp, tools/imatrix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from pydantic import Field

from models.formats.pretrained import load_model
from models.quantization.activations import column_importance
from models.tokenizer.load import load
from stages.compute import compute_of
from stages.evaluation.documents import training
from stages.pretraining.start import exact, folder_of
from stages.release.calibration import batches, device_of, token_rows
from stages.release.progress import progress
from stages.stage import Config, Input, Stage
from storage.problem import Problem
from storage.shards import encode

FILE = "importance.parquet"
IMPORTANCE_COLUMNS: dict[str, pl.DataType] = {
    "tensor": pl.String(),
    "expert": pl.Int32(),
    "tokens": pl.Int64(),
    "mean_square": pl.List(pl.Float32()),
}


class CalibrationConfig(Config):
    """Text on which a model is measured."""

    documents: int = Field(1000, ge=1)
    """Most pages of the training text, drawn by the seed."""
    tokens: int = Field(100_000, ge=1)
    """Most tokens that are read."""
    row_length: int = Field(512, ge=1)
    """Tokens of a row; the model's context where that is shorter."""
    seed: int = Field(0, ge=0)
    """Draws the pages."""


class ImportanceConfig(CalibrationConfig):
    """Text on which importance is measured."""


def calibration_rows(inputs: Mapping[str, Any], config: CalibrationConfig, context: int) -> torch.Tensor:
    """[N, T] of the text that `inputs` name. Raises Problem where they name none."""
    documents = training(inputs, config.documents, config.seed)
    if documents is None:
        raise Problem("no text to measure on was given; expected `training`, or `text` and `tokens`")
    return token_rows(documents, load(folder_of(inputs["model"])), min(config.row_length, context), config.tokens)


def run(inputs: Mapping[str, Any], out: Path, config: ImportanceConfig) -> dict[str, Any]:
    """Measure; back: figures. Raises Problem."""
    compute = compute_of(inputs.get("compute", {}))
    exact(compute)
    model = load_model(folder_of(inputs["model"]), device=device_of(compute)).eval()
    rows_NT = calibration_rows(inputs, config, model.shape.context)
    pieces = batches(rows_NT)

    def watched() -> Iterator[torch.Tensor]:
        for place, piece in enumerate(pieces):
            progress(out, place, len(pieces), "batches", "measuring activations")
            yield piece

    found = column_importance(model, watched())
    table = [
        (name, expert if len(columns.tokens) > 1 or columns.mean_square.ndim > 1 else None, int(count), means.tolist())
        for name, columns in found.items()
        for expert, (count, means) in enumerate(zip(columns.tokens, np.atleast_2d(columns.mean_square), strict=True))
    ]
    frame = pl.DataFrame(table, schema=IMPORTANCE_COLUMNS, orient="row")
    (out / FILE).write_bytes(encode(frame, IMPORTANCE_COLUMNS))
    return {"tokens": rows_NT.numel(), "matrices": frame.height, "unreached_experts": frame.filter(pl.col("tokens") == 0).height}


def read_importance(given: Input | Path) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    """Parameter -> fp32 [I], of experts [E, I]."""
    frame = pl.read_parquet(folder_of(given) / FILE)
    found = {}
    for (name,), rows in frame.group_by("tensor", maintain_order=True):
        means = np.array(rows["mean_square"].to_list(), np.float32)
        found[str(name)] = means if rows["expert"][0] is not None else means[0]
    return found


IMPORTANCE = Stage(name="importance", version=1, run=run, config=ImportanceConfig, shape="whole")
