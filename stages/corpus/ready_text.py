"""Pages that are text already: Parquet and JSON lines (plain, gzip or zstd), with a mapping of column names.

In: a file and the names of its columns. Out: `Line`s in file order, and later the text of one of them again:

| container | offset | skip | length |
|---|---|---|---|
| Parquet | row number | 0 | 1 |
| plain JSON lines | first byte of the line | 0 | bytes of the line |
| compressed JSON lines | 0 | first byte of the line in the decompressed stream | bytes of the file |

A line that is no JSON object, or whose text is no string, is a `Line` with an error. Lone surrogates and invalid UTF-8 are replaced.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from stages.corpus.containers import Blocks, Member, container, plain, stream
from stages.corpus.window import Window
from storage.problem import Problem

BATCH_ROWS = 256
_LINE_END = re.compile(rb"\n")


@dataclass(frozen=True)
class Mapping:
    """Which columns of the file hold what; None where the file has no such column."""

    text: str
    id: str | None
    url: str | None
    date: str | None

    def wanted(self) -> dict[str, str]:
        """The columns to read, by what they hold."""
        names = {"text": self.text, "id": self.id, "url": self.url, "date": self.date}
        return {role: name for role, name in names.items() if name is not None}

    def check(self, present: list[str], where: str) -> None:
        """One clear error where a column is missing."""
        for role, name in self.wanted().items():
            if name not in present:
                hint = (
                    "the column that holds it" if role == "text" else "the column that holds it, or to null where there is none"
                )
                raise Problem(
                    f"{where} has no column {name!r} for the {role} of a page; it has: {', '.join(present)}. Set {role}_column to {hint}."
                )


@dataclass(slots=True)
class Line:
    """One row of ready text and where it lies. `size` is its text in UTF-8 bytes."""

    offset: int
    skip: int
    length: int
    id: str = ""
    url: str = ""
    date: str = ""
    size: int = 0
    error: str | None = None
    detail: str | None = None


def parquet_lines(file: BinaryIO, mapping: Mapping, where: str) -> Iterator[Line]:
    """The rows of a Parquet file."""
    number = 0
    try:
        parquet = pq.ParquetFile(file)
        mapping.check(parquet.schema_arrow.names, where)
        kind = parquet.schema_arrow.field(mapping.text).type
        if not _is_text(kind.value_type if pa.types.is_dictionary(kind) else kind):
            raise Problem(
                f"{where}: column {mapping.text!r} holds {kind}, expected strings. Set text_column to a column of text."
            )
        wanted = mapping.wanted()
        for batch in parquet.iter_batches(batch_size=BATCH_ROWS, columns=sorted(set(wanted.values()))):
            columns = {role: _values(batch.column(name)) for role, name in wanted.items()}
            for row in range(batch.num_rows):
                text = columns["text"][row]
                told = {role: values[row] or "" for role, values in columns.items() if role != "text"}
                yield Line(number, 0, 1, size=len(text.encode()) if text else 0, **told)
                number += 1
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as broken:
        yield Line(number, 0, 1, error="bad_parquet", detail=str(broken)[:200])
    except OSError as broken:  # Arrow raises plain OSErrors for corrupt pages; those of the disk or the network carry an errno
        if broken.errno is not None or type(broken) is not OSError:
            raise
        yield Line(number, 0, 1, error="bad_parquet", detail=str(broken)[:200])


def parquet_text(file: BinaryIO, column: str, first: int) -> Iterator[tuple[int, str]]:
    """Row number and text of the rows from number `first` on; row groups before it are not read."""
    parquet = pq.ParquetFile(file)
    number, group = 0, 0
    while group < parquet.num_row_groups and number + parquet.metadata.row_group(group).num_rows <= first:
        number += parquet.metadata.row_group(group).num_rows
        group += 1
    groups = list(range(group, parquet.num_row_groups))
    for batch in parquet.iter_batches(batch_size=BATCH_ROWS, row_groups=groups, columns=[column]):
        for text in _values(batch.column(column)):
            if number >= first:
                yield number, text or ""
            number += 1


def json_lines(blocks: Blocks, mapping: Mapping, where: str, max_bytes: int) -> Iterator[Line]:
    """The lines of a JSON lines file; blank ones are passed over."""
    whole = Member(0, 0)
    packed = container(blocks) != "plain"
    window = Window(lambda position: stream(blocks, whole)) if packed else Window(lambda position: plain(blocks, position))
    checked = False
    while window.peek(1):
        start = window.position
        text = read_line(window, max_bytes)
        place = (0, start, blocks.size) if packed else (start, 0, window.position - start)
        if text is None:
            yield Line(*place, error="too_large", detail=f"a line of more than {max_bytes:,} bytes")
            continue
        if not checked and text.lstrip().startswith(b"["):
            raise Problem(f"{where} holds a JSON array; expected one JSON object per line. Convert it, e.g. with `jq -c '.[]'`.")
        if not text.strip():
            continue
        row = parse(text)
        if row is None:
            yield Line(*place, error="bad_json", detail=text[:80].decode("utf-8", "replace"))
            continue
        if not checked:
            mapping.check(list(row), where)
            checked = True
        yield _line(row, mapping, place)
    if whole.error:
        yield Line(0, window.position, blocks.size, error=whole.error, detail=f"at byte {whole.end:,}")


def read_line(window: Window, max_bytes: int) -> bytes | None:
    """The next line, at most `max_bytes` long; None for a longer one, which is passed over."""
    size = window.find(_LINE_END, max_bytes)
    if size is None and len(window.peek(max_bytes + 1)) > max_bytes:
        while not window.seek(_LINE_END, max_bytes) and window.peek(1):
            pass
        return None
    line = window.peek(size or max_bytes)
    window.skip(len(line))
    return line


def parse(line: bytes) -> dict[str, Any] | None:
    """The JSON object of a line; None where there is none."""
    try:
        row = orjson.loads(line)
    except ValueError:
        try:  # orjson refuses lone surrogates and invalid UTF-8, which Python's parser lets pass
            row = json.loads(line.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return None
    return row if isinstance(row, dict) else None


def clean(text: str) -> str:
    """Text that can be written as UTF-8: lone surrogates become question marks."""
    return text.encode("utf-8", "replace").decode()


def _line(row: dict[str, Any], mapping: Mapping, place: tuple[int, int, int]) -> Line:
    text = row.get(mapping.text)
    id, url, date = (clean(str(row.get(name) or "")) if name else "" for name in (mapping.id, mapping.url, mapping.date))
    if text is not None and not isinstance(text, str):
        return Line(
            *place, id, url, date, error="no_text", detail=f"{mapping.text} holds {type(text).__name__}, expected a string"
        )
    return Line(*place, id, url, date, size=len(clean(text or "").encode()))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _values(column: pa.Array) -> list[str | None]:
    """Strings of a column. Strings in a file need not be valid UTF-8; dates and numbers are written out."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if _is_text(kind):
        return [
            None if value is None else value.decode("utf-8", "replace") for value in column.cast(pa.large_binary()).to_pylist()
        ]
    values = column.to_pylist()
    return [None if v is None else v.isoformat() if hasattr(v, "isoformat") else clean(str(v)) for v in values]
