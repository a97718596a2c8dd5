"""From signals to a decision: an ordered list of rules, the first broken one names the reason.

The decision is a pure function of stored signals and thresholds, so a threshold can be tried again without measuring again.
A null signal breaks no rule. A NaN signal breaks no rule either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl


@dataclass(frozen=True)
class Rule:
    """`reason` is given to rows whose `signal` lies `breaks` (strictly above or below) the `threshold`."""

    reason: str
    signal: str
    breaks: Literal["above", "below"]
    threshold: float
    detail: str | None = None
    """Name of a string column that explains a hit (the word, the n-gram), copied to `reason_detail`."""

    def broken(self) -> pl.Expr:
        value = pl.col(self.signal).cast(pl.Float64)
        hit = value > self.threshold if self.breaks == "above" else value < self.threshold
        return (hit & value.is_not_nan()).fill_null(False)


def decide(docs: pl.DataFrame, rules: Sequence[Rule]) -> pl.DataFrame:
    """`docs` with the four `reason*` columns after its own: those of the first broken rule, or null where none is broken."""

    def first(values: Sequence[pl.Expr], dtype: pl.DataType) -> pl.Expr:
        chosen = pl.lit(None, dtype=dtype)
        for rule, value in zip(reversed(rules), reversed(values), strict=True):
            chosen = pl.when(rule.broken()).then(value).otherwise(chosen)
        return chosen.cast(dtype)

    none = pl.lit(None, dtype=pl.String)
    return docs.with_columns(
        first([pl.lit(r.reason) for r in rules], pl.String()).alias("reason"),
        first([pl.col(r.signal).cast(pl.Float64) for r in rules], pl.Float64()).alias("reason_value"),
        first([pl.lit(float(r.threshold)) for r in rules], pl.Float64()).alias("reason_threshold"),
        first([pl.col(r.detail) if r.detail else none for r in rules], pl.String()).alias("reason_detail"),
    )
