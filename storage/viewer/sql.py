"""One read-only SQL query over one dataset, in a process of its own that is killed when its time is over. See `sandbox.py`."""

import json
import re
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.problem import Problem
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer import tables

SECONDS = 10
AT_ONCE = 2  # queries; each may take two gigabytes
LONGEST = 20_000  # characters of a query
MOST_FILES = 4_000
MOST_FETCHED = 200_000_000  # bytes of a dataset of a remote store, copied for the query
_free = threading.BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True)
class Answer:
    columns: list[tuple[str, str]]
    rows: list[list[Any]]
    more: bool
    """Whether the limit on rows or bytes cut the answer."""


def views(snapshot: Snapshot) -> dict[str, tables.Table]:
    """The tables by the names that a query may use: `data`, the shards or the first; of a whole stage, each also by its own name."""
    found = tables.tables(snapshot)
    own = {re.sub(r"\W", "_", one.name.removesuffix(".parquet"), flags=re.ASCII): one for one in found if one.name}
    return ({"data": found[0]} | {name: one for name, one in own.items() if name != "data"}) if found else {}


def run(store: Store, snapshot: Snapshot, sql: str, seconds: float = SECONDS) -> Answer:
    """Raises Problem, in one line, for whatever a query asks that cannot be."""
    if len(sql) > LONGEST:
        raise Problem(f"the query has {len(sql):,} characters; {LONGEST:,} are the most")
    known = views(snapshot)
    if not known:
        raise Problem(f"{snapshot.reference} holds no Parquet; its files are on the page Files")
    if not _free.acquire(blocking=False):
        raise Problem(f"{AT_ONCE} queries are running, which is the most; ask again in a few seconds")
    try:
        with tempfile.TemporaryDirectory(prefix="winnow-sql-") as scratch:
            folder, empty = Path(scratch) / "data", Path(scratch) / "empty"
            folder.mkdir()
            empty.mkdir()
            files = _files(store, snapshot, known, folder)
            request = {"sql": sql, "views": [[name, [files[one.name] for one in table.files]] for name, table in known.items()]}
            return _run(json.dumps(request).encode(), empty, seconds)
    finally:
        _free.release()


def _files(store: Store, snapshot: Snapshot, known: dict[str, tables.Table], folder: Path) -> dict[str, str]:
    """Where each file lies on this machine; files of a remote store are copied to `folder`."""
    files = {file.name: file for table in known.values() for file in table.files}
    if len(files) > MOST_FILES:
        raise Problem(
            f"{snapshot.reference} has {len(files):,} shards; SQL takes {MOST_FILES:,} at most. Use filters and search instead"
        )
    size = sum(file.bytes for file in files.values())
    if not store.is_local and size > MOST_FETCHED:
        raise Problem(
            f"{snapshot.reference} has {size:,} bytes in a remote store; SQL copies the data and takes {MOST_FETCHED:,} bytes at most. Use "
            "filters and search, or a local copy of the store"
        )
    found: dict[str, str] = {}
    for number, file in enumerate(files.values()):
        path = f"{snapshot.folder}/{file.name}"
        try:
            if store.is_local:
                local = store.local(path).resolve()
            else:
                local = folder / f"{number}.parquet"
                store.fs.get_file(store.full(path), str(local))
            if local.stat().st_size != file.bytes:
                raise Problem(
                    f"{store.full(path)} has {local.stat().st_size:,} bytes, its snapshot says {file.bytes:,}; see `winnow verify`"
                )
        except FileNotFoundError:
            raise Problem(
                f"{store.full(path)} is gone although a snapshot lists it; run the flow again to make it anew"
            ) from None
        found[file.name] = str(local)
    return found


def _run(request: bytes, folder: Path, seconds: float) -> Answer:
    """The answer goes through a file, whose size the kernel bounds; a pipe could be written to for ever."""
    command = [sys.executable, "-I", str(Path(__file__).with_name("sandbox.py"))]
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as answered:
        asked.write(request)
        asked.seek(0)
        try:
            done = subprocess.run(
                command,
                stdin=asked,
                stdout=answered,
                stderr=subprocess.DEVNULL,
                env={},
                cwd=folder,
                timeout=seconds,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Problem(f"stopped after {seconds:g} s; ask for fewer rows or columns, or add a condition") from None
        answered.seek(0)
        text = answered.read()
    if done.returncode == -signal.SIGXCPU:
        raise Problem(f"stopped after {seconds:g} s of processor time; ask for fewer rows or columns, or add a condition")
    try:
        document = json.loads(text)
    except ValueError:
        raise Problem(
            f"the query ended without an answer (exit code {done.returncode}), most often for want of memory; ask for less"
        ) from None
    if "error" in document:
        raise Problem(document["error"])
    return Answer([(name, kind) for name, kind in document["columns"]], document["rows"], document["more"])
