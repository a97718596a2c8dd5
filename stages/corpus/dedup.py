"""Near-duplicates marked: of each cluster all but one document get the reason `duplicate`.

In: the documents whose signatures were clustered, in that order; side `removed`: this shard's rows of `clusters`. Out:

| column | type | meaning |
|---|---|---|
| minhash_cluster_size | i64 | documents that say nearly the same, this one included; 1 without a near-duplicate |
| cluster | string | signal: id of the document that is kept in their stead; null without a near-duplicate |

and the reason `duplicate`, with the size of the cluster (threshold 1) and the id of the document that is kept.

Source: FineWeb, section 3.4 (minhash_cluster_size as in FineWeb2). The size lets a later stage weigh what the web repeats.
"""

from __future__ import annotations

import polars as pl

from stages.stage import Config, Sides, Stage


class DedupConfig(Config):
    """What becomes of near-duplicates; `signatures` and `clusters` decide which they are."""

    drop: bool = True
    """Whether all of a cluster but one document go; false: they stay, with the size of their cluster."""


def run(docs: pl.DataFrame, config: DedupConfig, sides: Sides) -> pl.DataFrame:
    """`docs` with cluster, its size and reason. Raises ValueError where `removed` speaks of other documents."""
    found = clustered(docs, sides["removed"])
    size = found["minhash_cluster_size"].fill_null(1)
    reason = pl.when(found["removed"] & config.drop)
    return docs.with_columns(
        size.alias("minhash_cluster_size"),
        found["cluster"],
        reason.then(pl.lit("duplicate")).alias("reason"),
        reason.then(size.cast(pl.Float64)).alias("reason_value"),
        reason.then(pl.lit(1.0)).alias("reason_threshold"),
        reason.then(found["cluster"]).alias("reason_detail"),
    )


def clustered(docs: pl.DataFrame, removed: pl.DataFrame) -> pl.DataFrame:
    """For each of `docs` its row of `clusters`; nulls for a document without a near-duplicate."""
    ids = docs["id"].gather(removed["row"].filter(removed["row"] < docs.height))
    if not ids.equals(removed["id"]):
        raise ValueError(
            f"found a `removed` shard of {removed.height} rows whose ids are not those of the {docs.height} documents; expected "
            "the shard that was clustered from the signatures of the same documents, in the same order"
        )
    rows = pl.DataFrame({"row": pl.int_range(docs.height, eager=True)})
    return rows.join(removed, on="row", how="left", maintain_order="left")


DEDUP = Stage(
    name="dedup",
    version=1,
    run=run,
    config=DedupConfig,
    needs={"id": pl.String()},
    adds={"minhash_cluster_size": pl.Int64()},
    signals={"cluster": pl.String()},
    filters=True,
    sides={"removed": "shard"},
)
