"""An index of a crawl file: one row for each page record, with where it lies. No HTML and no text is copied.

In: the one row of `sources`, and the file itself through the side `crawl`. Out, in file order, in parts of `max_records` or
`max_bytes`, the columns `source` and `file_path` of the source and

| column | type | meaning |
|---|---|---|
| id | string | WARC-Record-ID as written; `<source>:<place>` where it is missing or came before in the file |
| url | string | target URL, at most `max_url_bytes` long; null if there is none |
| date | string | when it was fetched, as written (RFC 3339 in a sound file); null if missing |
| dump | string | name of the crawl |
| kind | string | html or text; null if it is no page |
| status | i32 | HTTP status; null if none |
| mime | string | declared type of the payload, lower case; null if none |
| charset | string | charset of the HTTP header, lower case; null if none |
| offset | i64 | where to begin reading in the file: byte, or row number in Parquet |
| length | i64 | bytes of the record, or of the gzip member or LZ4 frame around it |
| skip | i64 | bytes to pass over after decompression; above 0 where a member holds more than this record |
| field | string | ready text: the column that holds the text; null for WARC and ARC |
| part | i32 | number of the shard the row belongs to |

Rows are `response`, `resource` and `conversion` records (WET) and captures of ARC files, and ready text line by line. Other record
types give no row. Reasons, the first that holds:

| reason | value | threshold |
|---|---|---|
| record_error:... (what cannot be read: truncated, bad_gzip, bad_lz4, bad_header, content_length, no_http, no_url, bad_json ...) | | |
| url_too_long | bytes | max_url_bytes |
| status | the HTTP status, outside 200-299, unless `any_status` | |
| mime (neither HTML nor, in WET, plain text; `reason_detail` is the type) | | |
| empty | bytes | 1 |
| too_large | bytes | max_page_bytes |

A page without any declared type counts as HTML if it begins like it. Broken bodies (chunks, content encodings) are found by
whoever reads the page. Source: ISO 28500:2017; the selection is that of FineWeb (Penedo et al. 2024, section 3.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from typing import Any

import polars as pl
from pydantic import Field

from stages.corpus.containers import Blocks, Container, Member, chunks, container, continues, joined, next_member, plain
from stages.corpus.crawl import sized
from stages.corpus.ready_text import Line, Mapping, json_lines, parquet_lines
from stages.corpus.sources import SOURCE_COLUMNS, open_source
from stages.corpus.warc import HttpHead, Record, http_head, records
from stages.corpus.window import Window
from stages.stage import REASON, Config, Sides, Stage

RECORD_COLUMNS: dict[str, pl.DataType] = {
    "id": pl.String(),
    "url": pl.String(),
    "date": pl.String(),
    "dump": pl.String(),
    "kind": pl.String(),
    "status": pl.Int32(),
    "mime": pl.String(),
    "charset": pl.String(),
    "offset": pl.Int64(),
    "length": pl.Int64(),
    "skip": pl.Int64(),
    "field": pl.String(),
}
HTML = ("text/html", "application/xhtml+xml")
PAGES = ("response", "resource", "conversion")

_BEGINS_LIKE_HTML = re.compile(
    rb"[\s\xef\xbb\xbf\0]*<(?:!doctype\s+html|html|head|body|title|meta|\?xml[^>]*>\s*<(?:!doctype\s+html|html))", re.I
)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:+-]{1,40})", re.ASCII | re.I)
_MAX_NAME = 256
"""Longest id, date and type that is believed."""

Row = dict[str, Any]


class RecordsConfig(Config):
    """How crawl files are indexed and split."""

    dump: str = "crawl"
    """Name of the crawl, such as CC-MAIN-2024-10; goes into every row."""
    max_records: int = Field(default=5000, ge=1, le=1_000_000)
    """Most rows in a part."""
    max_bytes: int = Field(default=128_000_000, ge=1)
    """Most bytes of pages in a part, decompressed; a part holds at least one row."""
    max_page_bytes: int = Field(default=16 << 20, ge=1, le=64 << 20)
    """Longest page that is read; Common Crawl itself cuts pages off at 1 MiB (5 MiB since 2025)."""
    max_url_bytes: int = Field(default=8192, ge=16, le=65536)
    """Longest URL of a page."""
    any_status: bool = False
    """Take pages of every HTTP status, as datatrove 0.10.1 does, and not only those of 200 to 299."""
    text_column: str = "text"
    """Ready text: the column that holds the text."""
    id_column: str | None = "id"
    """Ready text: the column that holds the id; null where there is none."""
    url_column: str | None = "url"
    """Ready text: the column that holds the URL; null where there is none."""
    date_column: str | None = "date"
    """Ready text: the column that holds the date; null where there is none."""


def index(docs: pl.DataFrame, config: RecordsConfig, sides: Sides) -> pl.DataFrame:
    """The page records of one source."""
    source = docs.row(0, named=True)
    url = sides["crawl"][source["source"]]
    with ExitStack() as opened:
        file = opened.enter_context(open_source(url))
        if source["format"] == "parquet":
            rows = _text_rows(parquet_lines(file, _mapping(config), source["file_path"]), config)
        elif source["format"] == "jsonl":
            lines = json_lines(Blocks(file), _mapping(config), source["file_path"], config.max_page_bytes)
            rows = _text_rows(lines, config)
        else:
            rows = sized(_archive_rows(Blocks(file), config), source["source"], opened.enter_context(open_source(url)))
        shared = {"file_path": source["file_path"], "source": source["source"], "dump": config.dump}
        found = (row | shared for row in _split(rows, source["source"], config))
        schema = RECORDS.schema(SOURCE_COLUMNS)
        frames = [pl.DataFrame([], schema=schema)]
        while batch := list(islice(found, 5000)):  # Python rows take ten times the memory of columns
            frames.append(pl.DataFrame(batch, schema=schema))
    return pl.concat(frames)


def _split(rows: Iterable[Row], source: str, config: RecordsConfig) -> Iterator[Row]:
    """Rows with their part and with ids that are unique in the file."""
    seen: set[str] = set()
    part, count, size = 0, 0, 0
    for row in rows:
        page = row.pop("bytes") if row["reason"] is None else 0
        if count and (count >= config.max_records or size + page > config.max_bytes):
            part, count, size = part + 1, 0, 0
        count, size = count + 1, size + page
        if not row["id"] or len(row["id"]) > _MAX_NAME or row["id"] in seen:
            row["id"] = f"{source}:{row['offset']}" + (f"+{row['skip']}" if row["skip"] else "")
        seen.add(row["id"])
        yield row | {"part": part}


def _archive_rows(blocks: Blocks, config: RecordsConfig) -> Iterator[Row]:
    kind = container(blocks)
    if kind == "zstd":
        yield _error_row(0, blocks.size, 0, "bad_header", "zstd is not supported for WARC; expected plain, gzip or LZ4")
    elif blocks.size == 0:
        yield _error_row(0, 0, 0, "empty_file", None)
    elif kind == "plain":
        window = Window(lambda position: plain(blocks, position), size=blocks.size)
        for record in records(window):
            yield from _record_rows(record, record.start, record.end - record.start, 0, config)
    else:
        offset: int | None = 0
        while offset is not None and any(blocks.at(offset, 64)):  # zeros behind the last member are padding
            member = Member(offset, offset)
            yield from _member_rows(blocks, member, kind, config)
            # Behind damage the next member may begin anywhere; one that was left half-way is passed from there on.
            search = member.offset + 1 if member.error else member.end
            offset = member.end if member.done else next_member(blocks, search, kind)


def _member_rows(blocks: Blocks, member: Member, kind: Container, config: RecordsConfig) -> list[Row]:
    rows, last = _scan(member, chunks(blocks, member, kind), config)
    if last and last.error == "truncated" and member.done and continues(blocks, member.end, kind):
        member.end, member.done = member.offset, False
        rows, last = _scan(member, joined(blocks, member, kind), config)
    if member.error:
        # Whatever came last out of a member that broke is not to be trusted, even if it looks whole.
        last = last or Record(0, 0)
        last.error, last.detail = member.error, last.detail or f"at byte {member.end:,}"
    if last:
        rows += _record_rows(last, member.offset, 0, last.start, config)
    return [row | {"length": member.end - member.offset} for row in rows]


def _scan(member: Member, content: Iterator[bytes], config: RecordsConfig) -> tuple[list[Row], Record | None]:
    """The rows of a member's records but the last, and the last record, which stands or falls with the member's end."""
    rows: list[Row] = []
    last: Record | None = None
    for record in records(Window(lambda _: content)):
        if last:
            rows += _record_rows(last, member.offset, 0, last.start, config)
        last = record
    return rows, last


def _record_rows(record: Record, offset: int, length: int, skip: int, config: RecordsConfig) -> list[Row]:
    """The row of a record; none for a sound record that is no page."""
    head = record.head
    if head is None:
        return [_error_row(offset, length, skip, record.error or "bad_header", record.detail)]
    if head.type not in PAGES and record.error is None:
        return []
    http: HttpHead | None = None
    error, body, kind = record.error, head.length, head.type
    mime, charset = _media(head.mime), ""
    if head.mime.startswith("application/http"):
        http = http_head(record.look)
        if http is None:
            error, mime = error or "no_http", ""
        else:
            body = max(0, head.length - http.size)
            declared = http.fields.get("content-type", "")[:_MAX_NAME]
            mime, found = _media(declared), _CHARSET.search(declared)
            charset = found[1].lower() if found else ""
    mime = _media(head.payload_mime) or mime
    row = _place(offset, length, skip) | {
        "id": head.id,
        "date": head.date[:_MAX_NAME] or None,
        "status": http.status if http else None,
        "mime": mime or None,
        "charset": charset or None,
        "bytes": body,
        "encoded": http is not None and http.fields.get("content-encoding", "identity") != "identity",
    }
    if kind == "conversion":
        row["kind"] = "text" if mime in ("", "text/plain") else None
    elif mime in HTML or (not mime and _BEGINS_LIKE_HTML.match(record.look, http.size if http else 0)):
        row["kind"] = "html"
    error = error or (None if head.url else "no_url")
    return [_judge(row, head.url, config, error, record.detail)]


def _text_rows(lines: Iterable[Line], config: RecordsConfig) -> Iterator[Row]:
    for line in lines:
        row = _place(line.offset, line.length, line.skip) | {
            "id": line.id,
            "date": line.date[:_MAX_NAME] or None,
            "kind": "text",
            "field": config.text_column,
            "bytes": line.size,
        }
        yield _judge(row, line.url, config, line.error, line.detail)


def _judge(row: Row, url: str, config: RecordsConfig, error: str | None, detail: str | None) -> Row:
    """`row` with its URL and the first reason against it."""
    encoded = url.encode()
    row["url"] = encoded[: config.max_url_bytes].decode("utf-8", "ignore") or None
    status, size = row["status"], row["bytes"]
    if error:
        row |= {"reason": f"record_error:{error}", "reason_detail": detail}
    elif len(encoded) > config.max_url_bytes:
        row |= {"reason": "url_too_long", "reason_value": float(len(encoded)), "reason_threshold": float(config.max_url_bytes)}
    elif status is not None and not 200 <= status <= 299 and not config.any_status:
        row |= {"reason": "status", "reason_value": float(status), "reason_detail": f"HTTP {status}"}
    elif row["kind"] is None:
        row |= {"reason": "mime", "reason_detail": row["mime"] or "no type declared, and it does not begin like HTML"}
    elif size == 0:
        row |= {"reason": "empty", "reason_value": 0.0, "reason_threshold": 1.0}
    elif size > config.max_page_bytes:
        row |= {"reason": "too_large", "reason_value": float(size), "reason_threshold": float(config.max_page_bytes)}
    return row


def _error_row(offset: int, length: int, skip: int, error: str, detail: str | None) -> Row:
    return _place(offset, length, skip) | {"reason": f"record_error:{error}", "reason_detail": detail}


def _place(offset: int, length: int, skip: int) -> Row:
    """A row that says no more than where its record lies."""
    return dict.fromkeys([*RECORD_COLUMNS, *REASON]) | {"offset": offset, "length": length, "skip": skip, "bytes": 0}


def _media(value: str) -> str:
    """`text/html` of `Text/HTML; charset=utf-8`; empty where there is no sound type."""
    media = value.partition(";")[0].strip().lower()
    return media if "/" in media and len(media) <= _MAX_NAME else ""


def _mapping(config: RecordsConfig) -> Mapping:
    return Mapping(config.text_column, config.id_column, config.url_column, config.date_column)


RECORDS = Stage(
    name="records",
    version=1,
    run=index,
    config=RecordsConfig,
    needs=SOURCE_COLUMNS,
    adds=RECORD_COLUMNS,
    signals={"part": pl.Int32()},
    keeps=("source", "file_path"),
    filters=True,
    sides={"crawl": "crawl"},
    shape="parts",
)
