"""Metrics over steps, thinned so that a run of any length is a line of at most 500 points. In: a table. Out: a curve for each metric.

The table has an integer column `step` and one row for each; every column of floating-point numbers is a metric (null: not measured at that step). The rows
are cut into BUCKETS of equal length: a line keeps the least and the greatest value of each, in their order, so that no spike is lost,
and the first and the last value of all. NaN and infinities are no points of a line: they are counted, break it, and are marked where they are.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.shards import File
from storage.store import Store
from storage.viewer import tables
from storage.viewer.tables import Table

BUCKETS = 249  # two points of each, the first and the last: 500
METRICS = 40  # columns read of a table
MARKS = 30  # places of NaN and infinities that are marked

Floats = np.ndarray[Any, np.dtype[np.float64]]
Point = tuple[float, float]
"""(step, value)"""


@dataclass(frozen=True)
class Mean:
    bucket: int
    step: float
    value: float
    count: int


@dataclass(frozen=True)
class Curve:
    name: str
    points: tuple[Point | None, ...]
    """Thinned, in the order of the rows; None where the line is broken."""
    means: tuple[Mean, ...]
    bad: tuple[tuple[float, str], ...]
    """(step, nan | inf | -inf): the first of a bucket, MARKS at most."""
    wrong: int
    """NaN and infinite values."""
    measured: int
    """Finite values."""
    last: Point | None


@dataclass(frozen=True)
class Curves:
    curves: tuple[Curve, ...]
    rows: int
    unplaced: int
    """Rows whose step is null."""
    left_out: int
    """Metrics beyond METRICS."""


@dataclass
class _Bucket:
    """What is known of one metric in one bucket. Extremes are (value, row, step)."""

    least: tuple[float, int, float] | None = None
    greatest: tuple[float, int, float] | None = None
    step: float = 0.0
    mean: float = 0.0
    count: int = 0
    bad: tuple[float, str] | None = None
    wrong: int = 0

    def add(self, rows: Any, steps: Floats, values: Floats) -> None:
        fine = np.isfinite(values)
        if not fine.all():
            first = int(np.argmin(fine))
            self.bad = self.bad or (float(steps[first]), str(values[first]))
            self.wrong += int(np.count_nonzero(~fine))
            rows, steps, values = rows[fine], steps[fine], values[fine]
        if not len(values):
            return
        low, high = (
            (float(values[at]), int(rows[at]), float(steps[at])) for at in (int(np.argmin(values)), int(np.argmax(values)))
        )
        self.least = low if self.least is None else min(self.least, low)
        self.greatest = high if self.greatest is None or high[0] > self.greatest[0] else self.greatest
        self.count += len(values)
        share = len(values) / self.count
        # Divided before they are added: a sum of very large values would be infinite.
        self.mean += float(np.sum(values / len(values))) * share - self.mean * share
        self.step += float(np.mean(steps)) * share - self.step * share


@dataclass
class _Metric:
    buckets: dict[int, _Bucket] = field(default_factory=dict)
    first: tuple[float, int, float] | None = None
    last: tuple[float, int, float] | None = None

    def curve(self, name: str, total: int) -> Curve:
        points: list[Point | None] = []
        ends = [end for end in (self.first, self.last) if end]
        for at, one in sorted(self.buckets.items()):
            if one.least is None or one.greatest is None:
                points.append(None)
                continue
            kept = {one.least, one.greatest, *(end for end in ends if end[1] * BUCKETS // total == at)}
            points += [(step, value) for value, _, step in sorted(kept, key=lambda point: point[1])]
        means = tuple(Mean(at, one.step, one.mean, one.count) for at, one in sorted(self.buckets.items()) if one.count)
        bad = [one.bad for _, one in sorted(self.buckets.items()) if one.bad]
        wrong, measured = (sum(getattr(one, name) for one in self.buckets.values()) for name in ("wrong", "count"))
        last = None if self.last is None else (self.last[2], self.last[0])
        return Curve(name, tuple(points), means, tuple(bad[:MARKS]), wrong, measured, last)


def fits(store: Store, table: Table) -> bool:
    schema = tables.schema(store, table)
    numbered = "step" in schema.names and pa.types.is_integer(schema.field("step").type)
    return bool(numbered and metrics(schema)) and _one_a_step(store, table)


def _one_a_step(store: Store, table: Table) -> bool:
    """Judged by the first batch: what was drawn at each step, such as rollouts, repeats them at once."""
    for _, batch in tables.batches(store, table, ["step"]):
        steps = batch["step"].drop_null()
        return bool(pc.count_distinct(steps).as_py() == len(steps))
    return True


def metrics(schema: pa.Schema) -> list[str]:
    return [one.name for one in schema if pa.types.is_floating(one.type)]


def read(store: Store, table: Table) -> Curves:
    return _read(store, table.folder, table.name, tuple((one.name, one.bytes, one.digest, one.rows) for one in table.files))


@lru_cache(maxsize=64)  # files never change
def _read(store: Store, folder: str, name: str, files: tuple[tuple[str, int, str, int | None], ...]) -> Curves:
    table = Table(folder, name, tuple(File(*one) for one in files))
    names = metrics(tables.schema(store, table))
    found = {name: _Metric() for name in names[:METRICS]}
    unplaced = 0
    for begin, batch in tables.batches(store, table, ["step", *found]):
        placed = batch.filter(pc.field("step").is_valid()) if batch["step"].null_count else batch
        rows = np.flatnonzero(batch["step"].is_valid().to_numpy(zero_copy_only=False)) + begin
        unplaced += batch.num_rows - placed.num_rows
        steps = _floats(placed["step"])
        for name, metric in found.items():
            known = placed[name].is_valid().to_numpy(zero_copy_only=False)
            _add(metric, rows[known], steps[known], _floats(placed[name].drop_null()), table.rows)
    return Curves(
        tuple(one.curve(name, table.rows) for name, one in found.items()), table.rows, unplaced, max(0, len(names) - METRICS)
    )


def _add(metric: _Metric, rows: Any, steps: Floats, values: Floats, total: int) -> None:
    buckets = rows * BUCKETS // total
    edges = [0, *(np.flatnonzero(np.diff(buckets)) + 1).tolist(), len(rows)] if len(rows) else []
    for begin, end in pairwise(edges):
        one = metric.buckets.setdefault(int(buckets[begin]), _Bucket())
        one.add(rows[begin:end], steps[begin:end], values[begin:end])
    fine = np.flatnonzero(np.isfinite(values))
    if len(fine):
        ends = [(float(values[at]), int(rows[at]), float(steps[at])) for at in (fine[0], fine[-1])]
        metric.first, metric.last = metric.first or ends[0], ends[1]


def _floats(column: Any) -> Floats:
    made: Floats = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return made


def smoothed(curve: Curve, percent: int) -> tuple[Point | None, ...]:
    """At each bucket, the mean over `percent` of all rows, centred."""
    half = BUCKETS * percent / 200
    places = np.array([one.bucket for one in curve.means])
    counts = np.array([one.count for one in curve.means], np.float64)
    values = np.array([one.value for one in curve.means])
    points: list[Point | None] = []
    for one in curve.means:
        low, high = np.searchsorted(places, [one.bucket - half, one.bucket + half + 1e-9])
        share = counts[low:high] / counts[low:high].sum()
        points.append((one.step, float(np.sum(values[low:high] * share))))
    return tuple(points)
