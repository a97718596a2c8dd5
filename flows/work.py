"""What a worker does for one shard: read the rows that count, run the stage, check the schema, write the shard.

Tasks are plain values and name everything by store and path, so that any engine can carry them anywhere.
"""

import contextlib
import fcntl
import hashlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl

from stages.stage import Config, Input, Stage
from storage.shards import File, checked, part_name, read_shard, reasons_of, sha256, write_shard
from storage.snapshot import Snapshot, load
from storage.store import TEMPORARY, Store

WORKING = f"{TEMPORARY}work"


BATCH_BYTES = 16 << 20


@dataclass(frozen=True)
class Artifact:
    """An artifact as a side or an input: checked, and if the store is remote fetched to local disk, once a worker."""

    stage: str
    key: str
    snapshot: str


@dataclass(frozen=True)
class Shard:
    """One shard of another artifact as a side."""

    folder: str
    file: File


@dataclass(frozen=True)
class ShardTask:
    store: Store
    stage: Stage
    config: Config
    before: Mapping[str, pl.DataType]
    """Columns that this stage sees."""
    source: Shard
    filtered: bool
    """Whether the source has a `reason` column to read by."""
    folder: str
    name: str
    """The output's name; of a `parts` stage, its first part's."""
    origin: str
    inputs: tuple[str, ...] = ()
    """Digests that name the parts."""
    stem: str = ""
    sides: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[int, int] | None = None
    """Only these of the rows that count: (first, behind the last)."""


@dataclass(frozen=True)
class WholeTask:
    store: Store
    stage: Stage
    config: Config
    folder: str
    inputs: Mapping[str, Any]


def run_shard(task: ShardTask) -> list[File]:
    """The written shard, or all parts of it."""
    columns = task.stage.schema(task.before)
    frame = run_rows(task)
    if task.stage.shape == "shard":
        return [write_shard(task.store, task.folder, task.name, frame, columns, task.origin)]
    return _write_parts(task, frame, columns)


def run_rows(task: ShardTask) -> pl.DataFrame:
    """The stage's output for the task's rows, not written."""
    docs = task_rows(task)
    sides = {name: open_side(task.store, side) for name, side in task.sides.items()}
    frame: pl.DataFrame = pl.concat([task.stage.run(batch, task.config, sides) for batch in _batches(task, docs)])
    if task.stage.filters and task.stage.shape == "shard" and frame.height != docs.height:
        raise ValueError(f"{task.stage.name} gave {frame.height} rows for {docs.height}; a filter tags and never drops")
    return frame


def rowwise(task: ShardTask) -> bool:
    """Whether the stage's output for some rows is the same with and without the others: no side is tied to the shard as a whole."""
    return task.stage.shape == "shard" and not any(isinstance(side, Shard) for side in task.sides.values())


def _batches(task: ShardTask, docs: pl.DataFrame) -> list[pl.DataFrame]:
    """`docs` in pieces of BATCH_BYTES of text: as Python strings, all texts of a shard could take four times its size at once."""
    if not rowwise(task) or "text" not in docs.columns or docs.is_empty():
        return [docs]
    behind = docs["text"].str.len_bytes().fill_null(0).cum_sum() // BATCH_BYTES
    starts = [0, *(behind != behind.shift(1, fill_value=behind[0])).arg_true().to_list(), docs.height]
    return [docs[first:last] for first, last in itertools.pairwise(starts) if last > first]


def task_rows(task: ShardTask) -> pl.DataFrame:
    docs = read_shard(
        task.store, task.source.folder, task.source.file, [*task.before, *(["reason"] if task.filtered else [])], task.filtered
    )
    docs = docs.select(list(task.before))
    return docs if task.rows is None else docs[task.rows[0] : task.rows[1]]


def _write_parts(task: ShardTask, frame: pl.DataFrame, columns: Mapping[str, pl.DataType]) -> list[File]:
    """One shard for each value of `part`; the first is written last and names their number, so its presence proves the others."""
    count = int(frame["part"].max()) + 1 if frame.height else 1  # type: ignore[arg-type]
    files = []
    for part in reversed(range(count)):
        name = part_name(task.stem, part, list(task.inputs))
        rows = frame.filter(pl.col("part") == part)
        files.append(write_shard(task.store, task.folder, name, rows, columns, name, {"winnow.parts": str(count)}))
    return files


def run_whole(task: WholeTask) -> tuple[list[File], dict[str, Any]]:
    """Run a whole stage in a working folder, then write its files into the store; they, and what it reports of itself.

    What a stage keeps for itself, such as checkpoints, lies in files or folders whose names begin with a dot: the next attempt finds
    them, and they are no part of the artifact. Outputs of an attempt that died are gone before the next one begins.
    """
    inputs = {name: open_side(task.store, given) for name, given in task.inputs.items()}
    origins: dict[str, str | None] = {}
    for given in task.inputs.values():
        if isinstance(given, Artifact):
            origins |= {file.name: file.origin for file in _snapshot(task.store, given).files}
    with _working_folder(task) as out:
        for name in _outputs(out):
            (out / name).unlink()
        stats = task.stage.run(inputs, out, task.config)
        files = []
        for name in _outputs(out):
            data = (out / name).read_bytes()
            rows, reasons = _counted(data, task.stage.filters) if name.endswith(".parquet") else (None, None)
            task.store.write(f"{task.folder}/{name}", data)
            files.append(File(name, len(data), sha256(data), rows, origins.get(name), reasons))
        return files, stats


def _counted(data: bytes, filters: bool) -> tuple[int, dict[str, int] | None]:
    """Rows of a Parquet file and, of a filter's, those dropped by reason."""
    found = pl.scan_parquet(data)
    if filters and "reason" in found.collect_schema():
        rows = found.select("reason").collect()
        return rows.height, reasons_of(rows)
    return found.select(pl.len()).collect().item(), None


@contextlib.contextmanager
def _working_folder(task: WholeTask) -> Iterator[Path]:
    out = working_folder(task.store, task.folder)
    out.mkdir(parents=True, exist_ok=True)
    folder = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # the worker of a run that was killed may live on for a moment
        yield out
        shutil.rmtree(out)
    finally:
        os.close(folder)


def working_folder(store: Store, folder: str) -> Path:
    """Where a whole stage works: in the artifact's folder, or for a remote store in this machine's scratch, so that checkpoints live on."""
    if store.is_local:
        return store.local(f"{folder}/{WORKING}")
    return Path(".winnow/scratch", hashlib.sha256(store.url.encode()).hexdigest()[:12], folder).absolute()


def _outputs(out: Path) -> list[str]:
    """What a stage made: every file that is not hidden, nor in a hidden folder."""
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    return [name for name in names if not any(part.startswith(".") for part in name.split("/"))]


def open_side(store: Store, side: Any) -> Any:
    if isinstance(side, Shard):
        return read_shard(store, side.folder, side.file)
    if isinstance(side, Artifact):
        names = tuple(file.name for file in _snapshot(store, side).files)
        return Input(_fetched(store, side), names)
    return side


@lru_cache(maxsize=64)
def _snapshot(store: Store, artifact: Artifact) -> Snapshot:
    return load(store, artifact.stage, artifact.key, artifact.snapshot)


@lru_cache(maxsize=64)
def _fetched(store: Store, artifact: Artifact) -> Path:
    folder = f"{artifact.stage}/{artifact.key}"
    if store.is_local:
        for file in _snapshot(store, artifact).files:
            checked(store, folder, file)
        return store.local(folder)
    scratch = Path(_scratch().name) / artifact.snapshot
    for file in _snapshot(store, artifact).files:
        path = scratch / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(checked(store, folder, file))
    return scratch


@lru_cache(maxsize=1)
def _scratch() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="winnow-")  # removed when the worker ends
