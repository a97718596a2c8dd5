"""The Parquet tables of a snapshot, as one long table each, read a little at a time.

The shards of a shard stage are one table, named "". Files that a whole stage numbered (`rollouts-00000.parquet` ...) are one table
(`rollouts`); each other Parquet file of it is a table of its own, named after the file. Row numbers run from 0 through all shards in the snapshot's order. Footers are remembered (files are immutable), so
that any page costs one row group. A local store is read directly; a remote one through fsspec, by ranges.
"""

import contextlib
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from storage.problem import Problem
from storage.shards import File
from storage.snapshot import Snapshot
from storage.store import Store

BATCH_BYTES = 16_000_000
BATCH_ROWS = 65_536
EXAMINED = 32  # tables of a snapshot whose columns are looked at to see which pages fit it


@dataclass(frozen=True)
class Table:
    folder: str
    name: str
    files: tuple[File, ...]

    @property
    def rows(self) -> int:
        return sum(file.rows or 0 for file in self.files)

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    def starts(self) -> list[int]:
        """First row number of each shard, and the number of all rows."""
        return [0, *accumulate(file.rows or 0 for file in self.files)]


Fits = Callable[[Store, Table], bool]
"""Whether a page has something to show of a table."""


@dataclass(frozen=True)
class Footer:
    metadata: Any
    starts: tuple[int, ...]
    """First row of each row group within the shard, and the number of all rows."""


def tables(snapshot: Snapshot) -> list[Table]:
    return [Table(snapshot.folder, name, tuple(files)) for name, files in snapshot.tables.items()]


def table(snapshot: Snapshot, name: str) -> Table:
    """The table called `name`; with no name, the first. Raises Problem where there is none."""
    found = tables(snapshot)
    for one in found:
        if one.name == name or not name:
            return one
    if not found:
        raise Problem(f"{snapshot.reference} holds no Parquet; its files are on the page Files")
    raise Problem(f"{snapshot.reference} has no table {name!r}; it has: {', '.join(one.name or 'the shards' for one in found)}")


def have_rows(store: Store, snapshot: Snapshot) -> bool:
    return bool(snapshot.shards)


def having(store: Store, snapshot: Snapshot, fits: Fits) -> list[Table]:
    """Those of the first EXAMINED tables that fit. What cannot be read fits nothing: its own page says what is wrong with it."""
    found: list[Table] = []
    for one in tables(snapshot)[:EXAMINED]:
        with contextlib.suppress(Problem):
            found += [one] if fits(store, one) else []
    return found


def fitting(store: Store, snapshot: Snapshot, name: str, fits: Fits, expected: str) -> Table:
    """The table called `name`; with no name, the first that fits. Raises Problem, saying what is `expected`, where there is none."""
    if not name:
        found = having(store, snapshot, fits)
        if found:
            return found[0]
        raise Problem(f"{snapshot.reference} has no table for this page; expected {expected}. Its page Rows shows what it has")
    one = table(snapshot, name)
    if not fits(store, one):
        columns = ", ".join(f"{field.name}: {field.type}" for field in schema(store, one))
        raise Problem(f"the table {name!r} has the columns {columns[:600]}; expected {expected}")
    return one


def schema(store: Store, table: Table) -> pa.Schema:
    return footer(store, table.folder, table.files[0]).metadata.schema.to_arrow_schema()


def footer(store: Store, folder: str, file: File) -> Footer:
    return _footer(store, folder, file.name, file.bytes, file.digest)


@lru_cache(maxsize=128)
def _footer(store: Store, folder: str, name: str, size: int, digest: str) -> Footer:
    with opened(store, folder, File(name, size, digest)) as parquet:
        metadata = parquet.metadata
        rows = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
        return Footer(metadata, (0, *accumulate(rows)))


@contextlib.contextmanager
def opened(store: Store, folder: str, file: File, metadata: Any = None) -> Iterator[pq.ParquetFile]:
    """Raises Problem where the file is gone, has another size than its snapshot says, or is no Parquet."""
    path = f"{folder}/{file.name}"
    try:
        size = store.local(path).stat().st_size if store.is_local else store.fs.size(store.full(path))
        if size != file.bytes:
            raise Problem(
                f"{store.full(path)} has {size:,} bytes, its snapshot says {file.bytes:,}; delete it and run the flow again to make it anew"
            )
        if store.is_local:
            with pq.ParquetFile(store.full(path), metadata=metadata) as parquet:
                yield parquet
        else:
            # Without a cache of fsspec's own: pyarrow knows which ranges it wants, and asks for them at once.
            with (
                store.fs.open(store.full(path), "rb", cache_type="none") as handle,
                pq.ParquetFile(handle, metadata=metadata, pre_buffer=True) as parquet,
            ):
                yield parquet
    except FileNotFoundError:
        raise Problem(
            f"{store.full(path)} is gone although a snapshot lists it (`winnow gc`?); run the flow again to make it anew"
        ) from None
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowKeyError, OSError) as error:
        raise Problem(f"{store.full(path)} cannot be read: {error}. `winnow verify` says whether the file is damaged") from error


def take(store: Store, table: Table, numbers: list[int], columns: list[str] | None = None) -> list[dict[str, Any]]:
    """The rows of these numbers, in this order. Only the row groups that hold them are read."""
    starts = table.starts()
    wanted: dict[int, dict[int, list[int]]] = {}
    for number in sorted(set(numbers)):
        shard = bisect_right(starts, number) - 1
        within = footer(store, table.folder, table.files[shard]).starts
        group = bisect_right(within, number - starts[shard]) - 1
        wanted.setdefault(shard, {}).setdefault(group, []).append(number)
    rows: dict[int, dict[str, Any]] = {}
    for shard, groups in wanted.items():
        file = table.files[shard]
        known = footer(store, table.folder, file)
        with opened(store, table.folder, file, known.metadata) as parquet:
            for group, chosen in groups.items():
                first = starts[shard] + known.starts[group]
                found = _pick(parquet, group, [number - first for number in chosen], columns)
                rows |= zip(chosen, python_rows(found), strict=True)
    return [rows[number] for number in numbers]


def _pick(parquet: pq.ParquetFile, group: int, offsets: list[int], columns: list[str] | None) -> pa.Table:
    if parquet.metadata.row_group(group).total_byte_size <= 4 * BATCH_BYTES:
        return parquet.read_row_group(group, columns=columns).take(offsets)
    parts: list[pa.Table] = []  # a huge row group, decoded a piece at a time
    begin = 0
    for batch in parquet.iter_batches(_batch_rows(parquet.metadata, [group], columns), row_groups=[group], columns=columns):
        inside = [offset - begin for offset in offsets if begin <= offset < begin + batch.num_rows]
        parts += [pa.Table.from_batches([batch]).take(inside)] if inside else []
        begin += batch.num_rows
        if begin > offsets[-1]:
            break
    return pa.concat_tables(parts)


@dataclass(frozen=True)
class Piece:
    """Some row groups of a shard: about BATCH_BYTES, or one row group where that is larger."""

    shard: int
    groups: tuple[int, ...]
    begin: int
    """Number of its first row."""
    start: int
    """Rows before this one are not wanted."""


def pieces(store: Store, table: Table, columns: list[str], start: int = 0) -> Iterator[Piece]:
    """The table from row `start` on."""
    starts = table.starts()
    for shard in range(bisect_right(starts, start) - 1, len(table.files)):
        known = footer(store, table.folder, table.files[shard])
        group = max(0, bisect_right(known.starts, start - starts[shard]) - 1)
        last = len(known.starts) - 1
        rows = _batch_rows(known.metadata, [group], columns) if group < last else 0
        while group < last:
            end = max(group + 1, bisect_right(known.starts, known.starts[group] + rows) - 1)
            yield Piece(shard, tuple(range(group, end)), starts[shard] + known.starts[group], start)
            group = end


def read(store: Store, table: Table, piece: Piece, columns: list[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """(number of its first row, batch), of about BATCH_BYTES each."""
    file = table.files[piece.shard]
    known = footer(store, table.folder, file)
    number = piece.begin
    with opened(store, table.folder, file, known.metadata) as parquet:
        size = _batch_rows(known.metadata, list(piece.groups), columns)
        for batch in parquet.iter_batches(size, row_groups=list(piece.groups), columns=columns):
            skip = max(0, piece.start - number)
            if skip < batch.num_rows:
                yield number + skip, batch.slice(skip)
            number += batch.num_rows


def batches(store: Store, table: Table, columns: list[str], start: int = 0) -> Iterator[tuple[int, pa.RecordBatch]]:
    """(number of its first row, batch) from row `start` on."""
    for piece in pieces(store, table, columns, start):
        yield from read(store, table, piece, columns)


def _batch_rows(metadata: Any, groups: list[int], columns: list[str] | None) -> int:
    """So many rows that they are about BATCH_BYTES, judged by the first of `groups`."""
    group = metadata.row_group(groups[0])
    names = None if columns is None else set(columns)
    size = 0
    for index in range(group.num_columns):
        column = group.column(index)
        if names is None or column.path_in_schema in names or column.path_in_schema.partition(".")[0] in names:
            size += column.total_uncompressed_size
    each = max(1.0, size / max(1, group.num_rows))
    return max(16, min(BATCH_ROWS, int(BATCH_BYTES / each)))


def python_rows(found: pa.Table) -> list[dict[str, Any]]:
    """Rows as Python values; strings that are not UTF-8 are mended, since nobody promised what a file holds."""
    columns = [_values(column) for column in found.columns]
    return [dict(zip(found.column_names, values, strict=True)) for values in zip(*columns, strict=True)]


def _values(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return [
            None if value is None else value.decode("utf-8", "replace") for value in column.cast(pa.large_binary()).to_pylist()
        ]
    values: list[Any]
    try:
        values = column.to_pylist()
    except UnicodeDecodeError:
        values = [_mended(value) for value in column.cast(_as_bytes(column.type)).to_pylist()]
    return values


def _as_bytes(kind: pa.DataType) -> pa.DataType:
    """The nested type `kind` with bytes in place of strings."""
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pa.large_binary()
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, _as_bytes(field.type)) for field in kind])
    if pa.types.is_large_list(kind):
        return pa.large_list(_as_bytes(kind.value_type))
    return pa.list_(_as_bytes(kind.value_type)) if pa.types.is_list(kind) else kind


def _mended(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _mended(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_mended(inner) for inner in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
