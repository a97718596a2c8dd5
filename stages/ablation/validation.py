"""The fixed validation set: the documents that `hold_out` set aside, as they were extracted, for every variant of a corpus alike.

In: `held`, the artifact of `hold_out`; `crawl`, of `simulate`, if only pages that the made-up web means to be kept are wanted. Out:
`documents.parquet`: id, url, text: up to `documents` of them, those with the lowest draw first.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl
from pydantic import Field

from stages.stage import Config, Input, Stage
from storage.problem import Problem
from storage.shards import encode, read_parquet

COLUMNS: dict[str, pl.DataType] = {"id": pl.String(), "url": pl.String(), "text": pl.String()}


class ValidationConfig(Config):
    """How large the set is."""

    documents: int = Field(default=400, ge=1)
    """At most so many of those set aside."""


def run(inputs: Mapping[str, Input], out: Path, config: ValidationConfig) -> dict[str, int]:
    """Write the set. Returns counts of documents and bytes. Raises Problem where nothing was set aside."""
    frames = [read_parquet(str(path), [*COLUMNS, "draw", "reason"]) for path in inputs["held"].shards]
    chosen = pl.concat([frame.filter(pl.col("reason") == "held_out") for frame in frames])
    if "crawl" in inputs:
        truth = read_parquet(str(inputs["crawl"].folder / "truth.parquet"), ["id", "drop"])
        chosen = chosen.join(truth.filter(pl.col("drop").is_null()), on="id", how="semi")
    if chosen.is_empty():
        raise Problem("no document was held out; expected some: give more pages, or raise hold_out.share")
    documents = chosen.sort("draw", "id").head(config.documents).select(list(COLUMNS))
    (out / "documents.parquet").write_bytes(encode(documents, COLUMNS))
    return {"documents": documents.height, "bytes": int(documents["text"].str.len_bytes().sum())}


VALIDATION = Stage(name="validation", version=1, run=run, config=ValidationConfig, shape="whole")
"""Sits between `hold_out` and the evaluation of each model."""
