"""One page's way through a run: what each stage measured, decided and made of its text.

A page keeps its id through a run, and its shards keep their *origin* (storage/shards.py): so of each artifact one shard is looked
into, and of that shard the column `id` and one row group.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from storage.artifact import resolve
from storage.problem import Problem
from storage.runs import RunRecord, records
from storage.shards import File
from storage.snapshot import Snapshot
from storage.store import Store

REASON = ("reason", "reason_value", "reason_threshold", "reason_detail")
CLOSE = 20  # pages named where a text is part of several ids or URLs


@dataclass(frozen=True)
class Found:
    """A page at the beginning of its way."""

    id: str
    url: str | None
    origin: str


@dataclass(frozen=True)
class Step:
    stage: str
    reference: str
    number: int
    """Row number of the page in the dataset."""
    row: dict[str, Any]
    known: frozenset[str]
    """Columns that an earlier stage already had."""

    @property
    def kept(self) -> bool | None:
        """None for a stage that drops nothing."""
        return self.row["reason"] is None if "reason" in self.row else None

    @property
    def text(self) -> str | None:
        return self.row.get("text")

    @cached_property
    def verdict(self) -> dict[str, Any]:
        """`reason`, `reason_value`, `reason_threshold`, `reason_detail`: those that are not null."""
        return {name: self.row[name] for name in REASON if self.row.get(name) is not None}

    @cached_property
    def signals(self) -> dict[str, Any]:
        """What this stage added: its measurements, null where it did not get as far."""
        left_out = {*self.known, *REASON, "text", "id", "url"}
        return {name: value for name, value in self.row.items() if name not in left_out}

    def document(self) -> dict[str, Any]:
        found = {"stage": self.stage, "artifact": self.reference, "kept": self.kept}
        return found | self.verdict | {"signals": self.signals, "text": self.text}


def steps(store: Store, record: RunRecord, page: Found) -> list[Step]:
    """The stages that saw the page, in the order of the run. Raises Problem for a shard that is gone or damaged."""
    found: list[Step] = []
    known: set[str] = set()
    for stage, made in record.artifacts.items():
        snapshot = resolve(store, made.reference)
        begin = 0
        for file in (file for file in snapshot.shards if file.origin is not None):
            at = _row(store, snapshot, file, page.id) if file.origin == page.origin else None
            if at is not None:
                found.append(Step(stage, made.reference, begin + at[0], at[1], frozenset(known)))
                known |= set(at[1])
                break
            begin += file.rows or 0
    return found


def search(
    store: Store, record: RunRecord, text: str, exact: bool = False, origin: str = "", until: float = float("inf")
) -> list[Found]:
    """The page whose id or URL is `text`; else (unless `exact`) up to CLOSE pages of which it is a part; else none.

    `origin` names the shard to look into, where that is known. Raises Problem when the clock (`time.monotonic`) passes `until`.
    """
    snapshot = entry(store, record)
    shards = [file for file in snapshot.shards if file.origin is not None and origin in ("", file.origin)]
    close: list[Found] = []
    for looked, file in enumerate(shards):
        if time.monotonic() > until:
            raise Problem(
                f"{text!r} is in none of the first {looked} of {len(shards)} shards of {snapshot.reference}, and time is over; "
                "`winnow why` looks through all of them"
            )
        with _opened(store, snapshot, file) as parquet:
            present = _texts(parquet, "id", "url")
            frame = pl.from_arrow(parquet.read(columns=present))
        assert isinstance(frame, pl.DataFrame)
        assert file.origin is not None
        hits = frame.filter(pl.any_horizontal(pl.col(name) == text for name in present))
        if hits.height:
            return [_found(hits.row(0, named=True), file.origin)]
        if not exact and len(close) < CLOSE:
            part = frame.filter(pl.any_horizontal(pl.col(name).str.contains(text, literal=True) for name in present))
            close += [_found(row, file.origin) for row in part.head(CLOSE - len(close)).to_dicts() if row["id"] is not None]
    return close


def entry(store: Store, record: RunRecord) -> Snapshot:
    """The dataset with which pages enter the run: `records`, else the first with ids. Raises Problem where there is none."""
    names = sorted(record.artifacts, key=lambda stage: stage != "records")
    for stage in names:
        snapshot = resolve(store, record.artifacts[stage].reference)
        for file in snapshot.shards[:1]:
            if file.origin is not None:
                with _opened(store, snapshot, file) as parquet:
                    if _texts(parquet, "id"):
                        return snapshot
    raise Problem(f"run {record.id} ({record.flow}) made no dataset with page ids; name a corpus run, such as /runs lists")


def newest(store: Store, run: str | None = None) -> RunRecord:
    """The newest run with pages, or the one called `run`. Raises Problem where there is none."""
    for record in records(store):
        if "records" in record.artifacts and (run is None or record.id == run):
            return record
    raise Problem(
        f"no run {run!r} with records in {store.url!r}; `winnow show` names the runs"
        if run
        else f"the store {store.url!r} has no corpus run; run `winnow demo` or `winnow run corpus` first, or name another store with --store"
    )


def _found(row: dict[str, Any], origin: str) -> Found:
    return Found(row["id"], row.get("url"), origin)


def _row(store: Store, snapshot: Snapshot, file: File, identity: str) -> tuple[int, dict[str, Any]] | None:
    """(offset in the shard, row)."""
    with _opened(store, snapshot, file) as parquet:
        if not _texts(parquet, "id"):
            return None
        begin = 0
        for group in range(parquet.metadata.num_row_groups):
            ids = pl.Series(parquet.read_row_group(group, columns=["id"]).column("id"))
            at = (ids == identity).arg_true()
            if len(at):
                [row] = parquet.read_row_group(group).slice(at[0], 1).to_pylist()
                return begin + at[0], row
            begin += len(ids)
    return None


def _texts(parquet: pq.ParquetFile, *names: str) -> list[str]:
    """Those of `names` that are text columns."""
    schema = parquet.schema_arrow
    return [name for name in names if name in schema.names and pa.types.is_string(schema.field(name).type)]


@contextlib.contextmanager
def _opened(store: Store, snapshot: Snapshot, file: File) -> Iterator[pq.ParquetFile]:
    """The shard, its pages checked against their checksums. Raises Problem where it is gone or damaged."""
    path = f"{snapshot.folder}/{file.name}"
    try:
        with (
            store.fs.open(store.full(path), "rb") as handle,
            pq.ParquetFile(handle, page_checksum_verification=True) as parquet,
        ):
            yield parquet
    except FileNotFoundError:
        raise Problem(f"{store.full(path)} is gone although a snapshot lists it; run the flow again to make it anew") from None
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
        raise Problem(
            f"{store.full(path)} has changed since it was written: {error}. Delete the file and run the flow again; "
            "`winnow verify` finds others"
        ) from error
