"""Documents set aside before any filter sees them, so that corpora made by other filters can be compared on the same unseen text.

In: every extracted text; side `removed`: this shard's rows of `clusters` over the same texts. Out: the same rows with

| column | type | meaning |
|---|---|---|
| draw | f64 | signal: a number in [0, 1) that the document's near-duplicates share |

and the reasons `held_out` (the one of each drawn cluster that is kept: the validation set, nothing is filtered out of it) and
`near_copy` (the others of that cluster: in no training set either). What has no reason goes on to the filters.

Left out: near-copies that MinHash does not find, and shared passages: `tokenize` drops training text that shares n-grams.
"""

from __future__ import annotations

import polars as pl
import xxhash
from pydantic import Field

from stages.corpus.dedup import clustered
from stages.stage import Config, Sides, Stage


class HoldOutConfig(Config):
    """How much is set aside."""

    share: float = Field(default=0.05, gt=0, lt=1)
    """Of the documents (of clusters of near-duplicates, each as one)."""
    seed: int = Field(default=0, ge=0)
    """Another seed sets others aside."""
    min_chars: int = Field(default=200, ge=0)
    """Shorter texts are never set aside."""


def run(docs: pl.DataFrame, config: HoldOutConfig, sides: Sides) -> pl.DataFrame:
    """`docs` with draw and reason. Raises ValueError where `removed` speaks of other documents."""
    found = clustered(docs, sides["removed"])
    family = found["cluster"].fill_null(docs["id"]).to_list()
    draw = pl.Series("draw", [xxhash.xxh3_64_intdigest(f"{config.seed} {name}") / 2**64 for name in family], pl.Float64)
    chosen = (draw < config.share) & (docs["text"].str.len_chars() >= config.min_chars)
    copy = found["removed"].fill_null(False)
    return docs.with_columns(
        draw,
        pl.when(chosen & copy).then(pl.lit("near_copy")).when(chosen).then(pl.lit("held_out")).alias("reason"),
        pl.when(chosen).then(draw).alias("reason_value"),
        pl.when(chosen).then(pl.lit(config.share)).alias("reason_threshold"),
        pl.when(chosen & copy).then(found["cluster"]).alias("reason_detail"),
    )


HOLD_OUT = Stage(
    name="hold_out",
    version=1,
    run=run,
    config=HoldOutConfig,
    needs={"id": pl.String(), "text": pl.String()},
    signals={"draw": pl.Float64()},
    filters=True,
    sides={"removed": "shard"},
)
