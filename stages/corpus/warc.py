"""WARC and ARC records: their headers, the HTTP headers inside them, and finding the next record behind a broken one.

In: a `Window` on decompressed bytes. Out: `Record`s in order; a record that is broken says so in `error`:

| error | meaning |
|---|---|
| bad_header | bytes that are no record header; one error for the whole stretch up to the next record |
| truncated | the stream ends before the record does |
| content_length | what follows the record's declared length is not another record |
| too_large | the declared length is absurd (over `RECORD_BYTES`) and the stream cannot be jumped over |

Source: ISO 28500:2017 (WARC 1.1), and 0.17 and 0.18 as ClueWeb09 has them (bare line feeds); ARC 1.0 and 2.0 (Burner and Kahle,
Internet Archive, 1996). Header names are matched in lower case, the first of repeated headers counts, invalid UTF-8 is replaced.
Left out: segmented records (`continuation`) and `revisit`, which carry no page of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from stages.corpus.window import Window

HEAD_BYTES = 2 << 20
"""Longest WARC header that is looked at: room for a URL of a megabyte, so that its page is named in the row that drops it."""
HTTP_HEAD_BYTES = 64 << 10
LOOK_BYTES = 512
"""How much of a body is seen beside the headers: enough to tell whether a page without a type is HTML."""
RECORD_BYTES = 1 << 30

_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_NEXT_RECORD = re.compile(rb"\n(?=WARC/\d|https?://)")
_INNER_RECORD = re.compile(rb"\nWARC/\d")
_ARC_LINE_BYTES = 16 << 10
_ARC_URL = re.compile(rb"[a-z][a-z0-9+.-]*:\S")
_ARC_DATE = re.compile(rb"\d{8,18}")
_STATUS_LINE = re.compile(rb"HTTP/\d[^\s]* +(\d{3})(?!\d)")


@dataclass(frozen=True, slots=True)
class Head:
    """What a record's own header says. `length` counts the bytes behind it; empty strings stand for what is missing."""

    type: str
    id: str
    url: str
    date: str
    mime: str
    payload_mime: str
    length: int


@dataclass(slots=True)
class Record:
    """A record at `start` (position in its stream). `look` holds the first bytes of its block: HTTP header, start of the body."""

    start: int
    end: int
    head: Head | None = None
    look: bytes = b""
    error: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class HttpHead:
    """The HTTP header of a response of `size` bytes, blank line included."""

    status: int
    fields: dict[str, str]
    size: int


def fields(block: bytes) -> dict[str, str]:
    """Header lines by lower-case name; a line that begins with a space continues the one before, up to 64 KB."""
    found: dict[str, str] = {}
    name = ""
    for line in block.decode("utf-8", "replace").split("\n"):
        if line[:1] in (" ", "\t") and name:
            found[name] = f"{found[name]} {line.strip()}"[:HTTP_HEAD_BYTES]
            continue
        key, colon, value = line.partition(":")
        name = key.strip().lower()
        if not colon or name in found:
            name = ""
        else:
            found[name] = value.strip()
    return found


def http_head(block: bytes) -> HttpHead | None:
    """The HTTP header at the start of a block; None where there is none. Without a blank line, all of the block is header."""
    status = _STATUS_LINE.match(block)
    if status is None:
        return None
    end = _END_OF_HEAD.search(block, 0, HTTP_HEAD_BYTES)
    size = end.end() if end else len(block)
    if end is None and size > HTTP_HEAD_BYTES:
        return None
    return HttpHead(int(status[1]), fields(block[:size]), size)


def read_head(window: Window) -> Head | str:
    """The header at the window's position, which moves behind it; else the error, the window having moved on a little."""
    if window.peek(5) == b"WARC/":
        return _read_warc_head(window)
    return _read_arc_head(window)


def _read_warc_head(window: Window) -> Head | str:
    size = window.find(_END_OF_HEAD, HEAD_BYTES)
    if size is None:
        # No header can end within these bytes, so none of them needs a second look.
        passed = window.skip(max(1, len(window.peek(HEAD_BYTES)) - 8))
        return "bad_header" if passed >= HEAD_BYTES - 8 else "truncated"
    block = window.peek(size)
    found = fields(block)
    length = found.get("content-length", "")
    if "warc-type" not in found or not (length.isascii() and length.isdigit() and len(length) <= 15):
        inner = [match.start() for match in _INNER_RECORD.finditer(block)]
        window.skip(inner[-1] if inner else size - 1)
        return "bad_header"
    window.skip(size)
    return Head(
        type=found["warc-type"].lower(),
        id=found.get("warc-record-id", ""),
        url=found.get("warc-target-uri", "").removeprefix("<").removesuffix(">"),  # wget writes the brackets
        date=found.get("warc-date", ""),
        mime=found.get("content-type", ""),
        payload_mime=found.get("warc-identified-payload-type", ""),
        length=int(length),
    )


def _read_arc_head(window: Window) -> Head | str:
    line = window.peek(_ARC_LINE_BYTES)
    line = line[: line.find(b"\n") + 1]
    parts = line.split()
    # URLs may hold spaces, so the line is read from its end. ARC 1: URL IP date type length. ARC 2 has five fields before length.
    for mime, least in ((-2, 5), (-7, 10)):
        if len(parts) >= least and _ARC_DATE.fullmatch(parts[mime - 1]) and parts[-1].isdigit() and len(parts[-1]) <= 15:
            break
    else:
        window.skip(1)
        return "bad_header"
    window.skip(len(line))
    url = b" ".join(parts[: mime - 2]).decode("utf-8", "replace")
    kind = "filedesc" if url.startswith("filedesc:") else "resource"
    if kind == "resource" and _STATUS_LINE.match(window.peek(16)):
        kind = "response"
    media = "application/http" if kind == "response" else parts[mime].decode("utf-8", "replace")
    return Head(kind, "", url, _arc_date(parts[mime - 1].decode()), media, "", int(parts[-1]))


def _arc_date(digits: str) -> str:
    digits = digits[:14].ljust(14, "0")
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}T{digits[8:10]}:{digits[10:12]}:{digits[12:]}Z"


def records(window: Window) -> Iterator[Record]:
    """Every record from the window's position to the end of its stream, the broken ones with their error."""
    gap: Record | None = None
    while _skip_blank(window):
        start = window.position
        head = read_head(window)
        if isinstance(head, str):
            gap = gap or Record(start, start, error=head)
            if not window.seek(_NEXT_RECORD, RECORD_BYTES):
                break
            continue
        if gap:
            gap.end = start
            yield gap
            gap = None
        record = Record(start, start, head, _look(window, head))
        _pass_block(window, head, record)
        yield record
        if record.error == "too_large":
            return
        if record.error and not window.seek(_NEXT_RECORD, RECORD_BYTES):
            return
    if gap:
        gap.end = window.position
        yield gap


def _skip_blank(window: Window) -> bool:
    """Past line ends between records; False at the end of the stream."""
    while head := window.peek(64):
        rest = head.lstrip(b"\r\n")
        window.skip(len(head) - len(rest))
        if rest:
            return True
    return False


def _look(window: Window, head: Head) -> bytes:
    if head.type == "response" and head.mime.startswith("application/http"):
        size = window.find(_END_OF_HEAD, min(head.length, HTTP_HEAD_BYTES))
        return window.peek(min(head.length, (size or HTTP_HEAD_BYTES) + LOOK_BYTES))
    return window.peek(min(head.length, LOOK_BYTES)) if head.type in ("response", "resource", "conversion") else b""


def _pass_block(window: Window, head: Head, record: Record) -> None:
    """Move behind the block; where its length is wrong, note it, and on a plain file go back to search behind the header."""
    block = window.position
    if head.length > RECORD_BYTES and not window.seekable:
        record.error, record.detail = "too_large", f"declares {head.length:,} bytes"
        return
    passed = window.skip(head.length)
    record.end = window.position
    if passed < head.length:
        record.error, record.detail = "truncated", f"{passed:,} of {head.length:,} bytes"
    elif not _at_boundary(window):
        record.error, record.detail = "content_length", f"no record follows its {head.length:,} bytes"
    if record.error and window.seekable:
        window.move_to(block)


def _at_boundary(window: Window) -> bool:
    rest = window.peek(64).lstrip(b"\r\n")
    return not rest or rest.startswith(b"WARC/") or _ARC_URL.match(rest) is not None
