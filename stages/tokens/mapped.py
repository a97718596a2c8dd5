"""Packed rows mapped into memory: decoded from Parquet once, then any row is read from disk without a copy of the rest.

In: the artifact of `pack` and a folder for the decoded rows. Out: `Mapped`, one for training and one for validation. On disk, in a
folder named after the digest of all shards:

| file | |
|---|---|
| {split}-tokens.npy | [N, T + 1], u16 where every id fits, else i32 |
| {split}-used.npy, {split}-bytes.npy | [N], as `pack` describes them |
| {split}-starts.npy, {split}-first.npy | document starts of row i are starts[first[i] : first[i + 1]] |
| sources.json | rows of each corpus |

The folder gets its name when all of it is on disk. One process writes it, others wait; a damaged one is made anew. Memory: a shard.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from stages.stage import Input
from stages.tokens.pack import PACKED
from stages.tokens.split import TRAIN, VALIDATION
from storage.canonical import digest
from storage.problem import Problem
from storage.shards import read_parquet

I64 = npt.NDArray[np.int64]

ARRAYS = ("tokens", "used", "bytes", "starts", "first")


@dataclass(frozen=True)
class Mapped:
    """N rows of T + 1 tokens."""

    tokens: npt.NDArray[Any]
    used: npt.NDArray[np.int32]
    bytes: I64
    starts: npt.NDArray[np.int32]
    first: I64
    sources: Mapping[str, range]
    """Name of a corpus -> its rows."""

    def __len__(self) -> int:
        return len(self.used)


def shards_digest(packed: Input) -> str:
    """Of every file that rows are read from, by name and content."""
    return digest([[name, _file_digest(packed.folder / name)] for name in _names(packed)], 16)


def mapped(packed: Input, folder: Path, shards: str, row: int, size: int) -> dict[str, Mapped]:
    """By split. `shards`: their digest; `row`: tokens in a row; `size`: of the vocabulary. Raises Problem, naming the file, on a damaged
    shard."""
    folder.mkdir(parents=True, exist_ok=True)
    final, working = folder / shards, folder / "unfinished"
    with _locked(folder):
        try:
            return _opened(final)
        except (OSError, ValueError, KeyError):  # not there, or not whole
            shutil.rmtree(final, ignore_errors=True)
        shutil.rmtree(working, ignore_errors=True)
        working.mkdir()
        sources = {split: _decode(packed, split, working, row, size) for split in (TRAIN, VALIDATION)}
        (working / "sources.json").write_text(json.dumps(sources))
        for path in (*working.iterdir(), working):
            _on_disk(path)
        working.rename(final)
        return _opened(final)


def _opened(folder: Path) -> dict[str, Mapped]:
    sources = json.loads((folder / "sources.json").read_text())
    return {
        split: Mapped(
            **{name: np.load(folder / f"{split}-{name}.npy", mmap_mode="r") for name in ARRAYS},
            sources={name: range(*rows) for name, rows in sources[split].items()},
        )
        for split in (TRAIN, VALIDATION)
    }


def _decode(packed: Input, split: str, folder: Path, row: int, size: int) -> dict[str, tuple[int, int]]:
    """Write the arrays of `split`; the rows of each corpus."""
    paths = [packed.folder / name for name in _names(packed) if name.startswith(f"{split}-")]
    rows, starts = map(sum, zip((0, 0), *map(_counts, paths), strict=True))
    types = (np.uint16 if size <= 1 << 16 else np.int32, np.int32, np.int64, np.int32, np.int64)
    shapes: tuple[tuple[int, ...], ...] = ((rows, row), (rows,), (rows,), (starts,), (rows + 1,))
    tokens, used, text, places, first = (
        np.lib.format.open_memmap(folder / f"{split}-{name}.npy", mode="w+", dtype=np.dtype(dtype), shape=shape)
        for name, dtype, shape in zip(ARRAYS, types, shapes, strict=True)
    )
    sources: dict[str, tuple[int, int]] = {}
    at = begin = 0
    for path in paths:
        shard = _read(path, row, size)
        to = at + shard.height
        tokens[at:to] = shard["tokens"].explode().to_numpy().reshape(-1, row)
        used[at:to], text[at:to] = shard["used"].to_numpy(), shard["bytes"].to_numpy()
        found = shard["document_starts"].explode().to_numpy()
        places[begin : begin + len(found)] = found
        first[at + 1 : to + 1] = begin + shard["document_starts"].list.len().cast(pl.Int64).cum_sum().to_numpy()
        for name in shard["source"].unique():
            sources[name] = (sources.get(name, (at, to))[0], to)
        at, begin = to, begin + len(found)
    return sources


def _read(path: Path, row: int, size: int) -> pl.DataFrame:
    try:
        shard = read_parquet(str(path), list(PACKED))
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(path, str(error)) from error
    if dict(shard.schema) != PACKED or shard.is_empty() or (shard["tokens"].list.len() != row).any():
        raise _damaged(path, f"its rows are not {row} tokens long, or a column has another type")
    tokens = shard["tokens"].explode()
    if not tokens.is_between(0, size - 1).all():
        raise _damaged(path, f"it holds ids that are not below {size}, the size of the vocabulary")
    return shard


def _counts(path: Path) -> tuple[int, int]:
    """Rows of a shard, and document starts in it, by its footer."""
    try:
        footer = pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(path, str(error)) from error
    missing = sorted(PACKED.keys() - footer.schema.to_arrow_schema().names)
    if missing:
        raise _damaged(path, f"it has no column {', '.join(missing)}")
    groups = [footer.row_group(n) for n in range(footer.num_row_groups)]
    columns = [group.column(n) for group in groups for n in range(group.num_columns)]
    return footer.num_rows, sum(one.num_values for one in columns if one.path_in_schema.startswith("document_starts"))


def _damaged(path: Path, how: str) -> Problem:
    return Problem(f"the packed shard {path} is damaged: {how}. Delete it and run the flow again: it is made anew")


def _names(packed: Input) -> list[str]:
    return sorted(name for name in packed.names if name == "packing.json" or name.startswith((f"{TRAIN}-", f"{VALIDATION}-")))


def about(packed: Input) -> dict[str, Any]:
    """packing.json. Raises Problem where there is none."""
    try:
        found: dict[str, Any] = json.loads((packed.folder / "packing.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Problem(f"cannot read packing.json in {packed.folder} ({error}); expected the artifact of `pack`") from error
    return found


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _damaged(path, error.strerror or "") from error


def _on_disk(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)
