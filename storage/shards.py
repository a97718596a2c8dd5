"""Parquet shards: fixed settings and an explicit schema, so that the same rows are the same bytes.

A shard is named after its inputs: `{file stem}-p{part:04}-{first 8 hex digits of sha256 over origin and input digests}.parquet`.
Its *origin* is the name of the first shard in its history (one part of one crawl file); shards of two artifacts match when their
origins are equal.
"""

import hashlib
import io
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storage.canonical import digest
from storage.problem import Problem
from storage.store import Store

Columns = Mapping[str, pl.DataType]

ROW_GROUP = 1_000  # rows; small enough that a viewer's page reads little, large enough to compress text well
_EXTENSIONS = re.compile(r"(\.(warc|arc|wet|parquet|jsonl|json|gz|lz4|zst))+$", re.IGNORECASE)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_NAME = re.compile(r"^(?P<stem>.+-p\d{4,})-[0-9a-f]{8}\.parquet$|^(?P<first>(?P<table>.+)-\d{5})\.parquet$")
"""A shard with a history, or one that a whole stage numbered, whose history begins."""


@dataclass(frozen=True)
class File:
    """One file of a snapshot. `rows` is null for files that are not Parquet; `reasons` counts dropped rows by reason."""

    name: str
    bytes: int
    digest: str
    rows: int | None = None
    origin: str | None = None
    reasons: Mapping[str, int] | None = None

    @property
    def kept(self) -> int:
        """Rows without a reason."""
        return (self.rows or 0) - sum((self.reasons or {}).values())

    @property
    def table(self) -> str:
        """The table that it is a part of: "" for shards with a history; of files that a whole stage numbered, what stands before the
        number (one stage gives them one schema); of any other, its name."""
        if self.origin is not None:
            return ""
        match = _NAME.match(self.name)
        return (match and match["table"]) or self.name

    def document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "bytes": self.bytes,
            "digest": self.digest,
            "rows": self.rows,
            "origin": self.origin,
            "reasons": None if self.reasons is None else dict(self.reasons),
        }


def file_stem(path: str) -> str:
    """`crawl/CC-MAIN-1.warc.gz` -> `CC-MAIN-1`: safe in any file system, at most 80 characters."""
    name = _EXTENSIONS.sub("", path.rpartition("/")[2])
    return _UNSAFE.sub("_", name)[:80] or "file"


def part_name(stem: str, part: int, inputs: list[str]) -> str:
    """Name of a shard with a new history."""
    return f"{stem}-p{part:04}-{digest(inputs, 8)}.parquet"


def next_name(origin: str, inputs: list[str]) -> str:
    """Name of the shard made from shards with these digests, in the history that `origin` began."""
    match = _NAME.match(origin)
    if match is None:
        raise ValueError(f"{origin!r} is not a shard name; expected stem-p0000-xxxxxxxx.parquet or stem-00000.parquet")
    return f"{match['stem'] or match['first'] + '-p0000'}-{digest([origin, *inputs], 8)}.parquet"


def arrow_schema(columns: Columns) -> pa.Schema:
    """Arrow types as they are written: 32-bit offsets, no views, whatever polars uses in memory."""
    return pa.schema([pa.field(name, _arrow_type(dtype)) for name, dtype in columns.items()])


def _arrow_type(dtype: pl.DataType) -> pa.DataType:
    if dtype == pl.String:
        return pa.string()
    if dtype == pl.Binary:
        return pa.binary()
    if isinstance(dtype, pl.Array):
        return pa.list_(_arrow_type(_instance(dtype.inner)), dtype.size)
    if isinstance(dtype, pl.List):
        return pa.list_(_arrow_type(_instance(dtype.inner)))
    if isinstance(dtype, pl.Struct):
        return pa.struct([pa.field(field.name, _arrow_type(_instance(field.dtype))) for field in dtype.fields])
    return pl.Series([], dtype=dtype).to_arrow().type


def _instance(dtype: Any) -> pl.DataType:
    made: pl.DataType = dtype() if isinstance(dtype, type) else dtype
    return made


def encode(frame: pl.DataFrame, columns: Columns, metadata: Mapping[str, str] | None = None) -> bytes:
    """`frame` as a Parquet file with exactly `columns`. Raises ValueError naming every column that is missing, extra or mistyped."""
    wrong = [
        f"{name}: expected {dtype}, found {frame.schema.get(name)}"
        for name, dtype in columns.items()
        if frame.schema.get(name) != dtype
    ]
    wrong += [f"{name}: not declared" for name in frame.columns if name not in columns]
    if wrong:
        raise ValueError("the rows do not have the declared schema: " + "; ".join(wrong))
    schema = arrow_schema(columns)
    table = frame.select(list(columns)).to_arrow().cast(schema)
    if metadata:
        table = table.replace_schema_metadata(dict(metadata))
    buffer = io.BytesIO()
    pq.write_table(
        table,
        buffer,
        row_group_size=ROW_GROUP,
        version="2.6",
        compression="zstd",
        compression_level=3,
        use_dictionary=True,
        write_statistics=True,
        data_page_version="1.0",
        write_page_index=True,
        write_page_checksum=True,
    )
    return buffer.getvalue()


def write_shard(
    store: Store,
    folder: str,
    name: str,
    frame: pl.DataFrame,
    columns: Columns,
    origin: str,
    metadata: Mapping[str, str] | None = None,
) -> File:
    """Write one shard whole or not at all."""
    data = encode(frame, columns, metadata)
    store.write(f"{folder}/{name}", data)
    return File(name, len(data), sha256(data), frame.height, origin, reasons_of(frame))


def reasons_of(frame: pl.DataFrame) -> dict[str, int] | None:
    """Dropped rows by reason; None where the rows have no reasons."""
    if "reason" not in frame.columns:
        return None
    counts = Counter(frame["reason"].drop_nulls().to_list())
    return {reason: counts[reason] for reason in sorted(counts)}


def read_shard(store: Store, folder: str, file: File, columns: list[str] | None = None, kept: bool = False) -> pl.DataFrame:
    """The rows of a shard (with `kept`, only those without a reason). Raises Problem as `checked` does."""
    return read_parquet(checked(store, folder, file), columns, kept)


def checked(store: Store, folder: str, file: File) -> bytes:
    """The bytes of a file that a snapshot lists. Raises Problem where they are gone or are not those of its digest."""
    path = f"{folder}/{file.name}"
    try:
        data = store.read(path)
    except FileNotFoundError:
        raise Problem(f"{store.full(path)} is gone although a snapshot lists it; run the flow again to make it anew") from None
    if sha256(data) != file.digest:
        raise Problem(
            f"{store.full(path)} has changed since it was written: {len(data)} bytes, sha256 {sha256(data)[:12]}, expected {file.bytes} bytes, "
            f"{file.digest[:12]}. Delete the file and run the flow again; `winnow verify` finds others"
        )
    return data


def read_parquet(source: bytes | str, columns: list[str] | None = None, kept: bool = False) -> pl.DataFrame:
    """Parquet bytes or a local path as a frame."""
    opened = pa.BufferReader(source) if isinstance(source, bytes) else source
    predicate = pc.field("reason").is_null() if kept else None
    table = pq.read_table(opened, columns=columns, filters=predicate, page_checksum_verification=True)
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def examine(store: Store, folder: str, name: str, columns: Columns | None, origin: str | None) -> File | None:
    """The entry of a file that was found without one (a run died before its snapshot); None if it is not a whole shard of `columns`."""
    data = store.read(f"{folder}/{name}")
    if not name.endswith(".parquet"):
        return File(name, len(data), sha256(data))
    try:
        frame = read_parquet(data)
    except (pa.ArrowInvalid, OSError):
        return None
    if columns is not None and dict(frame.schema) != dict(columns):
        return None
    return File(name, len(data), sha256(data), frame.height, origin, reasons_of(frame))


def footer(store: Store, path: str) -> dict[str, str]:
    """Key-value metadata of a shard; empty where it cannot be read."""
    try:
        with store.fs.open(store.full(path), "rb") as file:
            found = pq.read_metadata(file).metadata or {}
    except (pa.ArrowInvalid, OSError):
        return {}
    return {key.decode(): value.decode() for key, value in found.items() if key != b"ARROW:schema"}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
