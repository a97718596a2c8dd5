"""Row access: a Query in, a Result out; the one place where the viewer asks for rows.

| asked for | costs |
|---|---|
| a page of all rows | one or two row groups, whatever the page |
| filters, a search | a scan of the columns concerned, from row `start`, that stops at one page or when `seconds` are over |
| an order | a scan of that column (and those of the filters); of the rows, only the first `page * size` places are kept |

A scan says how far it looked. Matches are counted with what is left of the time, and the count goes on with the next request. Memory:
one batch (16 MB), for each of the WORKERS of a scan; 100,000 row numbers for an order.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.problem import Problem
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer import tables
from storage.viewer.filters import Filter, check, column_type, mask, needed
from storage.viewer.tables import Table

WORKERS = min(4, os.cpu_count() or 1)  # of one scan
MOST_ORDERED = 100_000  # rows from the top of an order that can be paged through; the other end is one click away

Numbers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Query:
    snapshot: Snapshot
    table: str = ""
    filters: tuple[Filter, ...] = ()
    search: str = ""
    sort: str = ""
    descending: bool = False
    page: int = 1
    """Of all rows or of an order; from 1."""
    start: int = 0
    """Row number at which a scan for matches begins."""
    size: int = 50
    seconds: float = 0.7
    """How long a scan may take; it ends with the batch during which time runs out."""

    @property
    def scans(self) -> bool:
        return bool(self.filters or self.search)


@dataclass(frozen=True)
class Result:
    numbers: list[int]
    rows: list[dict[str, Any]]
    total: int
    """Rows of the table."""
    matching: int | None
    """Rows that match, among the `counted` first; None where everything does."""
    counted: int
    scanned: int
    """Row number up to which this page was looked for (all rows, for an order that was finished)."""
    full: bool
    """Whether `scanned` was far enough: the page is full, or the end was reached."""
    next_start: int | None = None
    """Where the scan for the next page begins; None at the end."""
    pages: int | None = None
    """Pages there are; None for scans, which do not know."""


@dataclass
class Tally:
    """How many of the first rows match: kept between requests, since the files never change."""

    state: tuple[int, int] = (0, 0)
    """(looked, found): replaced as one, so that a reader in another thread never sees half of a step."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, begin: int, end: int, matches: int) -> None:
        """Counts rows `begin` to `end` unless they are counted already, or rows before them are not."""
        with self.lock:
            looked, found = self.state
            if begin == looked:
                self.state = (end, found + matches)


@dataclass
class _Clock:
    seconds: float
    begun: float = field(default_factory=time.monotonic)

    @property
    def over(self) -> bool:
        return time.monotonic() - self.begun > self.seconds


def read(store: Store, query: Query) -> Result:
    """Raises Problem for a page, column, operator or value that cannot be."""
    table = tables.table(query.snapshot, query.table)
    schema = tables.schema(store, table)
    check(query.filters, query.search, schema)
    if query.sort:
        return _ordered(store, query, table, schema)
    if query.scans:
        return _scanned(store, query, table, schema)
    pages = max(1, -(-table.rows // query.size))
    _check_page(query, pages)
    first = (query.page - 1) * query.size
    numbers = list(range(first, min(first + query.size, table.rows)))
    return Result(numbers, tables.take(store, table, numbers), table.rows, None, table.rows, table.rows, True, pages=pages)


def row(store: Store, snapshot: Snapshot, name: str, number: int) -> dict[str, Any]:
    """One row, whole."""
    table = tables.table(snapshot, name)
    if not 0 <= number < table.rows:
        raise Problem(f"no row {number:,}; {snapshot.reference} has rows 0 to {table.rows - 1:,}")
    return tables.take(store, table, [number])[0]


def _scanned(store: Store, query: Query, table: Table, schema: pa.Schema) -> Result:
    clock = _Clock(query.seconds)
    tally = _tally(store, query.snapshot.reference, table.name, query.filters, query.search)
    if not 0 <= query.start <= table.rows:
        raise Problem(f"a scan cannot begin at row {query.start:,}; there are {table.rows:,} rows")
    numbers: list[int] = []
    # Where rows were counted before and none of them matched, there is no need to look at them again.
    counted, matching = tally.state
    looked = max(query.start, 0 if matching else counted)
    for begin, end, found in _matches(store, query, table, schema, looked):
        tally.add(begin, end, len(found))
        numbers += found[: query.size - len(numbers)].tolist()
        looked = end
        if len(numbers) == query.size:
            looked = numbers[-1] + 1
            break
        if clock.over:
            break
    full = len(numbers) == query.size or looked >= table.rows
    if full and tally.state[0] < table.rows:
        for begin, end, found in _matches(store, query, table, schema, tally.state[0]):
            tally.add(begin, end, len(found))
            if clock.over:
                break
    counted, matching = tally.state
    if counted >= table.rows and query.start == 0 and len(numbers) == matching:
        full, looked = True, table.rows  # every match is on this page
    return Result(
        numbers,
        tables.take(store, table, numbers),
        table.rows,
        matching,
        counted,
        looked,
        full,
        next_start=looked if looked < table.rows else None,
    )


def _matches(store: Store, query: Query, table: Table, schema: pa.Schema, start: int) -> Iterator[tuple[int, int, Numbers]]:
    """(first row, row after the last, numbers of the matching rows) for each batch, in order; WORKERS pieces are looked at at a time."""
    columns = needed(query.filters, query.search, schema)

    def look(piece: tables.Piece) -> list[tuple[int, int, Numbers]]:
        return [
            (begin, begin + batch.num_rows, np.flatnonzero(mask(batch, query.filters, query.search)) + begin)
            for begin, batch in tables.read(store, table, piece, columns)
        ]

    pool = ThreadPoolExecutor(WORKERS)
    try:
        ahead: deque[Future[list[tuple[int, int, Numbers]]]] = deque()
        for piece in tables.pieces(store, table, columns, start):
            ahead.append(pool.submit(look, piece))
            if len(ahead) > WORKERS:
                yield from ahead.popleft().result()
        while ahead:
            yield from ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


@lru_cache(maxsize=256)
def _tally(store: Store, reference: str, table: str, filters: tuple[Filter, ...], search: str) -> Tally:
    return Tally()


def _ordered(store: Store, query: Query, table: Table, schema: pa.Schema) -> Result:
    kind = column_type(schema, query.sort)
    if pa.types.is_nested(kind):
        raise Problem(f"{query.sort!r} is {kind}, which has no order; sort by another column")
    clock = _Clock(query.seconds)
    keep = query.page * query.size
    if keep > MOST_ORDERED:
        raise Problem(f"an order is shown for its first {MOST_ORDERED:,} rows; turn the order round to see its other end")
    keys = [("value", "descending" if query.descending else "ascending"), ("number", "ascending")]
    best = pa.table({"value": pa.array([], kind), "number": pa.array([], pa.int64())})
    columns = list(dict.fromkeys([query.sort, *needed(query.filters, query.search, schema)]))
    matching = looked = 0
    for begin, batch in tables.batches(store, table, columns):
        numbers = pa.array(np.arange(begin, begin + batch.num_rows))
        part = pa.table({"value": batch.column(query.sort), "number": numbers})
        if query.scans:
            part = part.filter(mask(batch, query.filters, query.search))
        matching += part.num_rows
        looked = begin + batch.num_rows
        both = pa.concat_tables([best, part])
        best = both.take(pc.select_k_unstable(both, k=min(keep, both.num_rows), sort_keys=keys)) if both.num_rows else both
        if clock.over:
            break
    pages = max(1, -(-min(matching, MOST_ORDERED) // query.size))
    _check_page(query, pages)
    chosen = best["number"].to_pylist()[keep - query.size :]
    rows = tables.take(store, table, chosen)
    return Result(chosen, rows, table.rows, matching if query.scans else None, looked, looked, looked >= table.rows, pages=pages)


def _check_page(query: Query, pages: int) -> None:
    if not 1 <= query.page <= pages:
        raise Problem(f"no page {query.page:,}; there are pages 1 to {pages:,}")
