"""What differs between two snapshots: settings, counts, shards, and the documents that only one of them keeps.

Shards match by origin (the part of the crawl that they come from), other files by name. Equal shards hold equal rows and are never
read; of the others, `id` and `reason`, one pair of shards at a time, until a page is full or time is over.
"""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from storage.shards import File
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer import tables

ABSENT = "not there"
KEPT = "kept"


@dataclass(frozen=True)
class Shards:
    equal: list[tuple[File, File]]
    changed: list[tuple[File, File]]
    only_a: list[File]
    only_b: list[File]


@dataclass(frozen=True)
class Document:
    id: str
    url: str | None
    fates: tuple[str, str]
    """In a and in b: KEPT, ABSENT, or the reason for which it was dropped."""
    rows: tuple[int | None, int | None]


@dataclass
class Documents:
    """Documents with two fates, of pairs of shards from a place on."""

    found: list[Document] = field(default_factory=list)
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each (fate in a, fate in b) came, in every pair that was looked at."""
    looked: int = 0
    """Pairs of shards looked at, those before the place included."""
    pairs: int = 0
    rows: int = 0
    next: tuple[int, int] | None = None
    """(pair, documents of it to skip) where the next page begins."""


def settings(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[list[tuple[str, Any, Any]], int]:
    """(field, value in a, value in b) where two recipes differ (None: it has no such field), and how many fields are equal."""
    one, other = _flat(a), _flat(b)
    names = list(dict.fromkeys([*one, *other]))
    differing = [(name, one.get(name), other.get(name)) for name in names if one.get(name) != other.get(name)]
    return differing, len(names) - len(differing)


def _flat(value: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            found |= _flat(inner, f"{before}{name}.")
        else:
            found[before + name] = inner
    return found


def shards(a: Snapshot, b: Snapshot) -> Shards:
    one, other = ({file.origin or file.name: file for file in snapshot.files} for snapshot in (a, b))
    both = [(one[name], other[name]) for name in one if name in other]
    return Shards(
        [pair for pair in both if pair[0].digest == pair[1].digest],
        [pair for pair in both if pair[0].digest != pair[1].digest],
        [file for name, file in one.items() if name not in other],
        [file for name, file in other.items() if name not in one],
    )


def documents(store: Store, a: Snapshot, b: Snapshot, start: tuple[int, int], size: int, seconds: float) -> Documents | None:
    """Up to `size` documents kept in one and not in the other; None where there are no shards with ids on both sides."""
    pairs = [pair for pair in shards(a, b).changed if pair[0].origin and pair[1].origin]
    if not pairs or not all(_has_ids(store, snapshot) for snapshot in (a, b)):
        return None
    begun = time.monotonic()
    starts = [_starts(snapshot) for snapshot in (a, b)]
    page = Documents(looked=min(start[0], len(pairs)), pairs=len(pairs))
    skip = start[1]
    for place in range(page.looked, len(pairs)):
        one, other = pairs[place]
        rows = _fates(store, a, one).join(
            _fates(store, b, other), on="id", how="full", coalesce=True, maintain_order="left_right"
        )
        rows = rows.with_columns(pl.col("fate", "fate_right").fill_null(ABSENT))
        rows = rows.filter((pl.col("fate") == KEPT) != (pl.col("fate_right") == KEPT))
        page.looked = place + 1
        page.rows += (one.rows or 0) + (other.rows or 0)
        for (first, second), count in Counter(zip(rows["fate"], rows["fate_right"], strict=True)).items():
            page.changes[first, second] += count
        room = size - len(page.found)
        for row in rows[skip : skip + room].iter_rows(named=True):
            numbers = [
                None if row[name] is None else begin[file.name] + row[name]
                for name, begin, file in (("row", starts[0], one), ("row_right", starts[1], other))
            ]
            page.found.append(Document(row["id"], None, (row["fate"], row["fate_right"]), (numbers[0], numbers[1])))
        if len(page.found) == size:
            left = skip + room < rows.height
            page.next = (place, skip + room) if left else (place + 1, 0) if place + 1 < len(pairs) else None
            break
        skip = 0
        if time.monotonic() - begun > seconds and place + 1 < len(pairs):
            page.next = (place + 1, 0)
            break
    page.found = _with_urls(store, a, b, page.found)
    return page


def _has_ids(store: Store, snapshot: Snapshot) -> bool:
    return "id" in tables.schema(store, tables.table(snapshot, "")).names


def _starts(snapshot: Snapshot) -> dict[str, int]:
    table = tables.table(snapshot, "")
    return dict(zip((file.name for file in table.files), table.starts(), strict=False))


def _fates(store: Store, snapshot: Snapshot, file: File) -> pl.DataFrame:
    """id, fate and row number within the shard."""
    known = tables.footer(store, snapshot.folder, file)
    columns = [name for name in ("id", "reason") if name in known.metadata.schema.to_arrow_schema().names]
    with tables.opened(store, snapshot.folder, file, known.metadata) as parquet:
        frame = pl.from_arrow(parquet.read(columns))
    assert isinstance(frame, pl.DataFrame)
    fate = pl.col("reason").fill_null(KEPT) if "reason" in columns else pl.lit(KEPT)
    return frame.with_row_index("row").select("id", "row", fate.alias("fate")).unique("id", keep="first", maintain_order=True)


def _with_urls(store: Store, a: Snapshot, b: Snapshot, found: list[Document]) -> list[Document]:
    """The same documents with their addresses, where either side has the column."""
    urls: dict[str, str] = {}
    for side, snapshot in ((0, a), (1, b)):
        table = tables.table(snapshot, "")
        wanted = {one.id: number for one in found if one.id not in urls and (number := one.rows[side]) is not None}
        if wanted and "url" in tables.schema(store, table).names:
            rows = tables.take(store, table, list(wanted.values()), ["url"])
            urls |= {name: row["url"] for name, row in zip(wanted, rows, strict=True) if row["url"]}
    return [Document(one.id, urls.get(one.id), one.fates, one.rows) for one in found]
