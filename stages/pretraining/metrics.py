"""The tables that a training leaves: metrics, samples, the load of experts."""

from collections.abc import Mapping, Sequence

import polars as pl

from models.transformer.train import Row

METRICS: dict[str, pl.DataType] = {
    "step": pl.Int64(),  # updates made; 0: before the first
    "tokens": pl.Int64(),  # supervised tokens so far
    "loss": pl.Float64(),  # nats per supervised token, before the update
    "lr": pl.Float64(),
    "grad_norm": pl.Float64(),  # before clipping
    "tokens_per_second": pl.Float64(),  # supervised ones; of the clock, as is mfu: no two runs agree
    "mfu": pl.Float64(),  # FLOP/s of the model / those of large matrix products on the same device
    "validation_loss": pl.Float64(),
    "bits_per_byte": pl.Float64(),
    "perplexity": pl.Float64(),
}
MIXTURE: dict[str, pl.DataType] = {
    "balance": pl.Float64(),  # load-balance loss per supervised token, weighted
    "expert_highest": pl.Float64(),  # largest share of a layer's choices that one expert had
    "expert_lowest": pl.Float64(),
    "expert_entropy": pl.Float64(),  # 1: all experts equally busy
}
SAMPLES: dict[str, pl.DataType] = {"step": pl.Int64(), "prompt": pl.String(), "completion": pl.String(), "seed": pl.Int64()}
EXPERTS: dict[str, pl.DataType] = {
    "step": pl.Int64(),
    "layer": pl.Int32(),
    "expert": pl.Int32(),
    "share": pl.Float64(),  # of the layer's choices in that step's batch
}


def due(step: int, every: int, last: int) -> bool:
    """Whether a look that is taken every so many steps (0: not in between) is taken after `step`."""
    return step in (0, last) or bool(every and step % every == 0)


def metrics_table(rows: Sequence[Row], columns: Mapping[str, pl.DataType]) -> pl.DataFrame:
    return pl.DataFrame(
        {name: pl.Series([row.get(name) for row in rows], dtype=pl.Float64()).cast(dtype) for name, dtype in columns.items()}
    )
