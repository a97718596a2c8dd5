"""The body of an HTTP response as its reader saw it: transfer chunks joined, content encodings undone, in bounded memory.

In: the body as recorded and its header fields. Out: the body's bytes, or `BodyError` with what is wrong.
Crawlers often record a body already decoded under the header of the encoded one (Common Crawl renames the header, Heritrix and
ClueWeb do not). So a body that does not even begin like its encoding is taken as it is; one that begins so and then breaks is an
error. Encodings: gzip, deflate (with or without zlib header), br, zstd. Source: RFC 9112 section 7.1, RFC 9110 section 8.4.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable, Iterator

import zstandard
from fastwarc.stream_io import BrotliReader

from stages.corpus.containers import ZSTD_SLICE

BODY_BYTES = 16 << 20
"""Longest decoded body; more is a bomb or no page."""

_CHUNK_HEAD = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[^\r\n]{0,256}\r?\n")
_MAX_ENCODINGS = 4
_PIECE = 1 << 20


class BodyError(ValueError):
    """A body that begins like its encoding and then breaks; the message is the short name of what is wrong."""


def decode(body: bytes, fields: dict[str, str]) -> bytes:
    """`body` with the transfer and content encodings of its header undone, or BodyError."""
    if "chunked" in fields.get("transfer-encoding", "").lower():
        body = join_chunks(body)
    names = [name.strip().lower() for name in fields.get("content-encoding", "").split(",")]
    for name in reversed(names[:_MAX_ENCODINGS]):
        if decoder := _DECODERS.get(name):
            body = decoder(body)
    return body


def join_chunks(body: bytes) -> bytes:
    """Transfer chunks joined. A body that does not begin with a chunk is given back; one that stops without a last chunk counts."""
    parts: list[bytes] = []
    at = 0
    while head := _CHUNK_HEAD.match(body, at):
        size = int(head[1], 16)
        end = head.end() + size
        if size == 0:
            return b"".join(parts)
        if end > len(body) or body[end : end + 2].strip(b"\r\n"):
            break
        parts.append(body[head.end() : end])
        at = end + (2 if body[end : end + 1] == b"\r" else 1)
    if not parts:
        return body
    if at < len(body):
        raise BodyError("bad_chunks")
    return b"".join(parts)


def _gather(pieces: Iterator[bytes]) -> bytes:
    parts, size = [], 0
    for piece in pieces:
        size += len(piece)
        if size > BODY_BYTES:
            raise BodyError("too_large")
        parts.append(piece)
    return b"".join(parts)


def _zlib(body: bytes, wbits: int) -> bytes:
    def pieces() -> Iterator[bytes]:
        engine = zlib.decompressobj(wbits)
        rest = body
        while not engine.eof:
            piece = engine.decompress(rest, _PIECE)
            rest = engine.unconsumed_tail
            if not piece and not engine.eof:
                raise BodyError("truncated_encoding")
            yield piece

    try:
        return _gather(pieces())
    except zlib.error as broken:
        raise BodyError("bad_encoding") from broken


def _gzip(body: bytes) -> bytes:
    return _zlib(body, 31) if body.startswith(b"\x1f\x8b\x08") else body


def _deflate(body: bytes) -> bytes:
    zlib_header = len(body) > 2 and body[0] & 15 == 8 and (body[0] * 256 + body[1]) % 31 == 0
    return _zlib(body, 15) if zlib_header else _unmarked(body, lambda bare: _zlib(bare, -15))


def _brotli(body: bytes) -> bytes:
    def pieces() -> Iterator[bytes]:
        reader = BrotliReader(io.BytesIO(body))
        try:
            while piece := reader.read(_PIECE):
                yield piece
        except OSError as broken:
            raise BodyError("bad_encoding") from broken

    return _unmarked(body, lambda _: _gather(pieces()))


def _zstd(body: bytes) -> bytes:
    def pieces() -> Iterator[bytes]:
        engine = zstandard.ZstdDecompressor().decompressobj()
        for at in range(0, len(body), ZSTD_SLICE):
            yield engine.decompress(body[at : at + ZSTD_SLICE])
            if engine.eof:
                return
        raise BodyError("truncated_encoding")

    try:
        return _gather(pieces()) if body.startswith(b"\x28\xb5\x2f\xfd") else body
    except zstandard.ZstdError as broken:
        raise BodyError("bad_encoding") from broken


def _unmarked(body: bytes, decoder: Callable[[bytes], bytes]) -> bytes:
    """Brotli and bare deflate begin with no mark of their own: where they fail on what looks like HTML, it was plain."""
    try:
        return decoder(body)
    except BodyError:
        if body.lstrip()[:1] == b"<":
            return body
        raise


_DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
