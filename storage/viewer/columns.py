"""What a column holds: a histogram or its most frequent values, and nulls, from a sample of row groups.

| column | shown |
|---|---|
| numbers | a histogram of 12 bins (one for each whole number where they are few; of equal ratio where a few values are far greater than most), least, greatest, mean |
| text, booleans with few distinct values | the most frequent values |
| other text, binary, lists | a histogram of lengths (characters, bytes, items) |

The sample is every row of a small table, else whole row groups spread evenly over at most SHARDS shards; the result says how many rows
that were. Files never change, so it is made once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.shards import File
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer import tables
from storage.viewer.filters import is_text
from storage.viewer.tables import Table, footer, opened
from storage.viewer.units import compact

SAMPLE_ROWS = 8_000
SAMPLE_BYTES = 48_000_000
SHARDS = 4
BINS = 12
MOST = 10  # values shown
FEW = 40  # distinct values up to which a column is taken for categories


@dataclass(frozen=True)
class Bar:
    label: str
    count: int
    value: str | None
    """What a filter would ask for; None for bins."""


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    seen: int
    nulls: int
    of: str
    """values | characters | bytes | items | nothing: what the bars count or measure"""
    bars: tuple[Bar, ...] = ()
    distinct: int | None = None
    low: float | None = None
    high: float | None = None
    mean: float | None = None

    @property
    def is_histogram(self) -> bool:
        return bool(self.bars) and self.bars[0].value is None

    @property
    def most(self) -> int:
        return max((bar.count for bar in self.bars), default=1)


@dataclass(frozen=True)
class Description:
    columns: tuple[Column, ...]
    seen: int
    total: int

    @property
    def whole(self) -> bool:
        return self.seen == self.total


def describe(store: Store, snapshot: Snapshot, name: str) -> Description:
    table = tables.table(snapshot, name)
    key = tuple((file.name, file.bytes, file.rows, file.digest) for file in _spread(table.files, SHARDS))
    return _describe(store, table.folder, key, table.rows)


@lru_cache(maxsize=64)
def _describe(store: Store, folder: str, files: tuple[tuple[str, int, int, str], ...], total: int) -> Description:
    parts = _sample(store, Table(folder, "", tuple(File(name, size, digest, rows) for name, size, rows, digest in files)))
    sample = pa.concat_tables(parts)
    columns = tuple(_column(name, column) for name, column in zip(sample.column_names, sample.columns, strict=True))
    return Description(columns, sample.num_rows, total)


def _sample(store: Store, table: Table) -> list[pa.Table]:
    parts: list[pa.Table] = []
    for file in table.files:
        known = footer(store, table.folder, file)
        groups = range(known.metadata.num_row_groups)
        rows = max(1, (file.rows or 0) // max(1, len(groups)))
        size = max(1, sum(known.metadata.row_group(group).total_byte_size for group in groups) // max(1, len(groups)))
        most = min(SAMPLE_ROWS // rows, SAMPLE_BYTES // size) // len(table.files)
        with opened(store, table.folder, file, known.metadata) as parquet:
            if most:
                parts.append(parquet.read_row_groups(list(_spread(groups, most))))
            else:  # row groups too large to be read whole: the first rows then
                fit = max(1, min(SAMPLE_ROWS, SAMPLE_BYTES * rows // size) // len(table.files))
                parts.append(pa.Table.from_batches([next(parquet.iter_batches(fit))]))
    return parts


def _spread(items: Sequence[Any], most: int) -> list[Any]:
    """At most `most` of `items`, evenly spaced, the first among them."""
    return list(items) if len(items) <= most else [items[index * len(items) // most] for index in range(most)]


def _column(name: str, column: pa.ChunkedArray) -> Column:
    kind = column.type
    seen, nulls = len(column), column.null_count
    values = column.drop_null()
    if not len(values):
        return Column(name, str(kind), seen, nulls, "nothing")
    if pa.types.is_boolean(kind):
        return Column(name, str(kind), seen, nulls, "values", *_top(values.cast(pa.string())))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _numbers(name, kind, seen, nulls, values.cast(pa.float64(), safe=False).to_numpy(), "values")
    if is_text(kind):
        distinct = pc.count_distinct(values).as_py()
        if distinct <= FEW or distinct < len(values) // 100:
            return Column(name, str(kind), seen, nulls, "values", *_top(values))
        return _numbers(name, kind, seen, nulls, pc.utf8_length(values).to_numpy(), "characters")
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _numbers(name, kind, seen, nulls, pc.binary_length(values).to_numpy(), "bytes")
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _numbers(name, kind, seen, nulls, pc.list_value_length(values).to_numpy(), "items")
    return Column(name, str(kind), seen, nulls, "nothing")


def _top(values: pa.ChunkedArray) -> tuple[tuple[Bar, ...], int]:
    kind = pa.large_binary()
    counts = sorted(
        ((one["counts"], one["values"].decode("utf-8", "replace")) for one in pc.value_counts(values.cast(kind)).to_pylist()),
        key=lambda pair: (-pair[0], pair[1]),
    )
    return tuple(Bar(text, count, text) for count, text in counts[:MOST]), len(counts)


def _numbers(name: str, kind: pa.DataType, seen: int, nulls: int, values: "np.ndarray[Any, np.dtype[Any]]", of: str) -> Column:
    finite = values[np.isfinite(values)].astype(np.float64)
    if not len(finite):
        return Column(name, str(kind), seen, nulls, "nothing")
    low, high = float(finite.min()), float(finite.max())
    whole = of != "values" or pa.types.is_integer(kind)
    if whole and high - low < BINS:
        counts = np.bincount((finite - low).astype(np.int64))
        bars = tuple(Bar(compact(low + place), int(count), None) for place, count in enumerate(counts))
    elif low == high:
        bars = (Bar(compact(low), len(finite), None),)
    else:
        edges = _edges(finite, low, high)
        counts = np.histogram(finite, edges)[0] if len(edges) > 2 else np.array([len(finite)])
        bars = tuple(
            Bar(f"{compact(first)} to {compact(last)}", int(count), None)
            for count, first, last in zip(counts, edges[:-1], edges[1:], strict=True)
        )
    return Column(name, str(kind), seen, nulls, of, bars, None, low, high, float(finite.mean()))


def _edges(values: "np.ndarray[Any, np.dtype[np.float64]]", low: float, high: float) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Of equal width; of equal ratio where most values would otherwise crowd the first bin."""
    if not np.isfinite(high - low):
        return np.array([low, high])
    if low > 0 and high > 100 * low and float(np.median(values)) < low + (high - low) / BINS:
        edges = np.geomspace(low, high, BINS + 1)
        edges[0], edges[-1] = low, high
        return edges
    return np.linspace(low, high, BINS + 1)
