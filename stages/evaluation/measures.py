"""What an evaluation says in numbers: one row per measure, each with its number of cases and its 95 % interval.

| column | type | meaning |
|---|---|---|
| task | string | bits_per_byte, memorisation, choices, cloze, in_context, prompted |
| part | string | of which cases: "withheld", "town", "8 examples"; null = all of the task |
| metric | string | what was measured |
| value | f64 | |
| n | i64 | cases |
| stderr | f64 | standard error, sample deviation / sqrt(n); null where it is not known |
| low, high | f64 | 95 % interval: Wilson's for shares, else value +- 1.96 standard errors |
| chance | f64 | what guessing would reach; null where nothing is guessed |
| note | string | for a person |

Sources: Wilson 1927; Newcombe 1998, "Interval estimation for the difference between independent proportions", method 10.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
from scipy.stats import t as student

Z = 1.959964
"""Of 95 %."""

SCORES: dict[str, pl.DataType] = {
    "task": pl.String(),
    "part": pl.String(),
    "metric": pl.String(),
    "value": pl.Float64(),
    "n": pl.Int64(),
    "stderr": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "chance": pl.Float64(),
    "note": pl.String(),
}


@dataclass(frozen=True)
class Measure:
    task: str
    part: str | None
    metric: str
    value: float
    n: int
    stderr: float | None = None
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    note: str | None = None


@dataclass(frozen=True)
class Result:
    """What a task found: its measures, and by name of file the cases for people to read."""

    measures: list[Measure]
    tables: Mapping[str, pl.DataFrame]


class NotMeasured(Exception):
    """A task cannot be done with this model and these documents; its text, what to change included, goes to the report."""


def frame(measures: Sequence[Measure]) -> pl.DataFrame:
    return pl.DataFrame([asdict(measure) for measure in measures], schema=SCORES)


def share(
    task: str, metric: str, right: Sequence[bool], part: str | None = None, chance: float | None = None, note: str | None = None
) -> Measure:
    """The share of cases that are right; at least one case."""
    n, hits = len(right), sum(right)
    value = hits / n
    stderr = math.sqrt(value * (1 - value) / (n - 1)) if n > 1 else None
    return Measure(task, part, metric, value, n, stderr, *wilson(hits, n), chance, note)


def mean(task: str, metric: str, values: Sequence[float], part: str | None = None, note: str | None = None) -> Measure:
    return ratio(task, metric, values, [1.0] * len(values), part, note)


def ratio(
    task: str, metric: str, above: Sequence[float], below: Sequence[float], part: str | None = None, note: str | None = None
) -> Measure:
    """sum(above) / sum(below) over cases (bits over bytes of documents); the error is that of a ratio estimator (the delta method)."""
    over, under = np.asarray(above, float), np.asarray(below, float)
    n, value = len(over), float(over.sum() / under.sum())
    stderr = None
    if n > 1:
        stderr = float(np.sqrt(((over - value * under) ** 2).sum() * n / (n - 1)) / under.sum())
    low, high = (None, None) if stderr is None else (value - Z * stderr, value + Z * stderr)
    return Measure(task, part, metric, value, n, stderr, low, high, None, note)


def wilson(hits: float, n: int) -> tuple[float, float]:
    """95 % interval of a share."""
    centre = (hits + Z * Z / 2) / (n + Z * Z)
    spread = Z / (n + Z * Z) * math.sqrt(hits * (n - hits) / n + Z * Z / 4)
    return max(0.0, centre - spread), min(1.0, centre + spread)


def difference(one: Measure, other: Measure, part: str, note: str | None = None) -> Measure:
    """`one` minus `other`, two shares or two means of cases drawn apart. n counts the cases of both."""
    value = one.value - other.value
    low = high = stderr = None
    if one.stderr is not None and other.stderr is not None:
        stderr = math.hypot(one.stderr, other.stderr)
    if one.low is not None and one.high is not None and other.low is not None and other.high is not None:
        # from the two intervals, not from the errors: 0 of n has an error of 0 and is not certain
        low = value - math.hypot(one.value - one.low, other.high - other.value)
        high = value + math.hypot(one.high - one.value, other.value - other.low)
    return Measure(one.task, part, one.metric, value, one.n + other.n, stderr, low, high, None, note)


def interval(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, float | None, float | None]:
    """(mean, low, high) over seeds: Student's t, 95 %; no interval for one."""
    middle = float(np.mean(values))
    if len(values) < 2:
        return middle, None, None
    half = float(student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return middle, middle - half, middle + half
