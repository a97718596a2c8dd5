"""Bytes of a web page -> text, in the order of the WHATWG encoding sniffing algorithm.

| order | source | note |
|---|---|---|
| 1 | byte order mark | wins over everything |
| 2 | `charset` of the HTTP Content-Type | |
| 3 | XML declaration, `<meta charset>`, `<meta content="...; charset=...">` | UTF-16 there means UTF-8 |
| 4 | the bytes themselves | valid UTF-8, else uchardet on 64 KB from each end |

A declared name is a label of the WHATWG table, so `iso-8859-1` and `ascii` mean windows-1252 and `gb2312` means gb18030; an
unknown label counts as none. Bytes that the encoding does not define become U+FFFD.
Source: https://html.spec.whatwg.org/#determining-the-character-encoding and https://encoding.spec.whatwg.org/#names-and-labels.
Left out: the guess from the top-level domain and the "replacement" encoding, both of which give way to detection.

`decode_as_datatrove` is the way of datatrove 0.10.1: UTF-8, else what cchardet detects, whatever the page declares.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

import cchardet
from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

from stages.extraction.utf8 import is_utf8

# The standard asks for the first 1,024 bytes, and for a second decoding when the parser meets a later declaration; this is both.
_HEAD = 16_384
_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_DECLARED = re.compile(
    rb"<(?:meta\s(?=[^<>]*?\bcharset\s*=\s*[\"']?\s*([^\s\"'/;>]{1,40}))|\?xml\s[^<>]*?\bencoding\s*=\s*[\"']([^\"'>]{1,40}))",
    re.IGNORECASE,
)
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))

# Python's codec of the same name is narrower than the standard's (or missing from the table of resiliparse).
_WIDER = {"gbk": "gb18030", "big5": "big5hkscs", "shift_jis": "cp932", "euc_kr": "cp949", "iso8859-11": "cp874"}
_MISSING = {"x-mac-cyrillic": "mac-cyrillic", "x-mac-ukrainian": "mac-cyrillic"}


@lru_cache(maxsize=1024)
def codec(label: str) -> str | None:
    """Name of the Python codec for a label, or None where the WHATWG table does not know it."""
    label = label.strip().lower()
    name = _MISSING.get(label) or map_encoding_to_html5(label, fallback_utf8=False)
    return _WIDER.get(name, name) if name else None


def declared(payload: bytes) -> str | None:
    """Codec that the page's own head declares, or None."""
    head = payload[:_HEAD]
    first = _DECLARED.search(head)
    if first is None:
        return None
    if b"<!--" in head[: first.start()]:
        head = _COMMENT.sub(b"", head)
    for match in _DECLARED.finditer(head):
        name = codec((match[1] or match[2]).decode("ascii", "replace"))
        if name:
            return "utf-8" if name.startswith("utf-16") else name
    return None


def encoding_of(payload: bytes, charset: str | None) -> tuple[str, int]:
    """(name of the Python codec, bytes of the byte order mark). `charset` is what the HTTP header says, if anything."""
    for bom, utf in _BOMS:
        if payload.startswith(bom):
            return utf, len(bom)
    name = (codec(charset) if charset else None) or declared(payload)
    if name is None and not is_utf8(payload):
        detected = detect_encoding(payload) or "utf-8"
        name = _WIDER.get(detected, detected)
    return name or "utf-8", 0


def decode(payload: bytes, charset: str | None) -> tuple[str, str]:
    """(text, name of the Python codec)."""
    name, mark = encoding_of(payload, charset)
    return payload[mark:].decode(name, "replace"), name


def to_utf8(payload: bytes, charset: str | None) -> tuple[bytes, str]:
    """(text as UTF-8, name of the Python codec); the payload itself where it is valid UTF-8 already."""
    name, mark = encoding_of(payload, charset)
    if name == "utf-8" and is_utf8(payload):
        return payload[mark:], name
    return payload[mark:].decode(name, "replace").encode(), name


def decode_as_datatrove(payload: bytes) -> tuple[str, str] | None:
    """(text, name of the codec), or None where neither UTF-8 nor the encoding that cchardet detects fits every byte."""
    try:
        return payload.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        detected = cchardet.detect(payload)["encoding"] or "utf-8"
    try:
        return payload.decode(detected), codecs.lookup(detected).name
    except (UnicodeDecodeError, LookupError):
        return None
