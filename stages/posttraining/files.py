"""Files of conversations as rows, whatever they hold: JSON (an array, or lines), JSON lines, either compressed, and Parquet.

In: a file. Out: its rows in their order, each a value or, where it cannot be read, what is wrong with it. Memory: a JSON array is read
whole; all else row by row.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from stages.corpus.containers import Blocks, Member, stream
from storage.problem import Problem

ENDINGS = (".json", ".jsonl", ".ndjson", ".parquet")
PACKED = (".gz", ".zst")
BATCH_ROWS = 256
_MARK = b"\xef\xbb\xbf"  # the byte order mark that some editors write


@dataclass(frozen=True)
class Unread:
    """A row that is no JSON."""

    why: str


def is_readable(name: str) -> bool:
    return _ending(name) in ENDINGS


def rows(path: Path) -> Iterator[Any]:
    """Values and `Unread`s. Raises Problem where the file as a whole cannot be read."""
    try:
        if _ending(path.name) == ".parquet":
            for batch in pq.ParquetFile(path).iter_batches(BATCH_ROWS):
                yield from batch.to_pylist()
        else:
            yield from _json(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise Problem(
            f"cannot read {path}: {error}. Expected JSON, JSON lines (also .gz, .zst) or Parquet; copy it anew"
        ) from error


def _ending(name: str) -> str:
    for packed in PACKED:
        name = name.removesuffix(packed)
    return Path(name).suffix.lower()


def _json(path: Path) -> Iterator[Any]:
    lines = (line for line in _lines(path) if line.strip())
    first = next(lines, b"").removeprefix(_MARK)
    if not first.strip():
        first = next(lines, b"")
    if first.lstrip().startswith(b"["):
        yield from _array(path, b"\n".join([first, *lines]))
    elif first:
        yield from map(_line, itertools.chain([first], lines))


def _lines(path: Path) -> Iterator[bytes]:
    """Raises Problem where a compressed file is cut short or damaged."""
    whole = Member(0, 0)
    parts: list[bytes] = []
    with path.open("rb") as file:
        for chunk in stream(Blocks(file), whole):
            first, *more = chunk.split(b"\n")
            parts.append(first)
            for line in more:
                yield b"".join(parts)
                parts = [line]
    yield b"".join(parts)
    if whole.error is not None:
        raise Problem(f"{path} is cut short or damaged: {whole.error}; copy it anew")


def _array(path: Path, data: bytes) -> list[Any]:
    try:
        found: list[Any] = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Problem(f"cannot read {path}: it begins as a JSON array and is none ({error}); copy it anew") from error
    return found


def _line(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return Unread(f"{error}: {line[:80].decode('utf-8', 'replace').strip()}")
