"""What a worker does for one shard: read the rows that count, run the stage, check the schema, write the shard.

Tasks are plain values and name everything by store and path, so that any engine can carry them anywhere.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl

from stages.stage import Config, Input, Stage
from storage.problem import Problem
from storage.shards import File, part_name, read_shard, sha256, write_shard
from storage.snapshot import Snapshot, load
from storage.store import Store


@dataclass(frozen=True)
class Artifact:
    """An artifact as a side or an input: fetched to local disk once a worker if the store is remote."""

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
    sides = {name: _open_side(task.store, side) for name, side in task.sides.items()}
    frame: pl.DataFrame = task.stage.run(docs, task.config, sides)
    if task.stage.filters and task.stage.shape == "shard" and frame.height != docs.height:
        raise ValueError(f"{task.stage.name} gave {frame.height} rows for {docs.height}; a filter tags and never drops")
    return frame


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
    """Run a whole stage in its folder (remote store: in scratch, then uploaded); its files and what it reports of itself."""
    inputs = {name: _open_side(task.store, given) for name, given in task.inputs.items()}
    origins: dict[str, str | None] = {}
    for given in task.inputs.values():
        if isinstance(given, Artifact):
            origins |= {file.name: file.origin for file in _snapshot(task.store, given).files}
    if task.store.is_local:
        out = task.store.local(task.folder)
        out.mkdir(parents=True, exist_ok=True)
        return _run_whole(task, inputs, origins, out)
    with tempfile.TemporaryDirectory(prefix="winnow-") as scratch:
        files, stats = _run_whole(task, inputs, origins, Path(scratch))
        for file in files:
            task.store.write(f"{task.folder}/{file.name}", (Path(scratch) / file.name).read_bytes())
        return files, stats


def _run_whole(task: WholeTask, inputs: dict[str, Any], origins: dict[str, Any], out: Path) -> tuple[list[File], dict[str, Any]]:
    stats = task.stage.run(inputs, out, task.config)
    files = []
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if path.is_file() and name != "recipe.json" and not name.startswith("snapshots/") and not path.name.startswith("."):
            data = path.read_bytes()
            rows = pl.scan_parquet(path).select(pl.len()).collect().item() if name.endswith(".parquet") else None
            files.append(File(name, len(data), sha256(data), rows, origins.get(name)))
    return files, stats


def _open_side(store: Store, side: Any) -> Any:
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
        return store.local(folder)
    scratch = Path(_scratch().name) / artifact.snapshot
    for file in _snapshot(store, artifact).files:
        data = store.read(f"{folder}/{file.name}")
        if sha256(data) != file.digest:
            raise Problem(f"{store.full(folder)}/{file.name} has changed since it was written; delete it and run the flow again")
        path = scratch / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return scratch


@lru_cache(maxsize=1)
def _scratch() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="winnow-")  # removed when the worker ends
