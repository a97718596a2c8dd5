"""How bytes lie in a crawl file: plain, gzip members, LZ4 frames, zstd; read in bounded memory, and past what is broken.

In: a binary file that can be sought in. Out: `Member`s, the pieces that can be decompressed alone (Common Crawl writes one per
record, the layout of WARC 1.1, annex D), or `stream`, the whole file decompressed as one.

FastWARC's readers are twice as fast on gzip, but report neither a clipped member nor where a member ends, and a Content-Length
that is too long makes them swallow the records behind it. zlib tells all three. FastWARC decodes LZ4, frame by frame.
Deflate expands at most 1,032 times and zstd 32,768 times (a run of 128 KB in four bytes), so a slice of `SLICE` or `ZSTD_SLICE` bytes
gives at most 17 or 67 MB: a bomb costs time in proportion, and needs no other guard on memory.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal, cast

import zstandard
from fastwarc.stream_io import Lz4Reader

BLOCK = 1 << 20
SLICE = 16 << 10
ZSTD_SLICE = 2 << 10
PROBE = 1 << 10
"""Compressed bytes that are enough to see how a member's content begins."""

Container = Literal["plain", "gzip", "lz4", "zstd"]
_MAGIC: dict[Container, bytes] = {"gzip": b"\x1f\x8b\x08", "lz4": b"\x04\x22\x4d\x18", "zstd": b"\x28\xb5\x2f\xfd"}
_RECORD_START = re.compile(rb"WARC/\d|[a-z][a-z0-9+.-]*:\S")
"""How the content of a member begins if it is one: a WARC header, or the URL of an ARC header. Tells it from chance bytes."""


class Blocks:
    """Random access to a file through one cached block."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, 2)
        self._start, self._block = 0, memoryview(b"")

    def at(self, offset: int, count: int) -> memoryview:
        """At most `count` bytes from `offset` on, and at least one unless the file ends there."""
        if not self._start <= offset < self._start + len(self._block):
            self._file.seek(offset)
            self._start, self._block = offset, memoryview(self._file.read(BLOCK))
        return self._block[offset - self._start :][:count]

    def exactly(self, offset: int, count: int) -> bytes:
        """`count` bytes from `offset` on, fewer only where the file ends."""
        found = b""
        while len(found) < count and (piece := self.at(offset + len(found), count - len(found))):
            found += piece
        return found


@dataclass
class Member:
    """A piece of a file that can be decompressed alone. `end` and `done` tell how far `chunks` has come, `error` what broke."""

    offset: int
    end: int
    done: bool = False
    error: str | None = None


class _Span:
    """The bytes of a member as a file, for decoders that read files. Faults of the disk or the network stay what they are."""

    def __init__(self, blocks: Blocks, start: int, end: int) -> None:
        self._blocks, self._at, self._end = blocks, start, end
        self.fault: OSError | None = None

    def read(self, size: int = -1) -> bytes:
        count = self._end - self._at if size < 0 else min(size, self._end - self._at)
        try:
            piece = bytes(self._blocks.at(self._at, count))
        except OSError as fault:
            self.fault = fault
            raise
        self._at += len(piece)
        return piece

    def tell(self) -> int:
        return self._at


def container(blocks: Blocks) -> Container:
    """What the file's first bytes say; a file's name may lie."""
    head = bytes(blocks.at(0, 4))
    return next((name for name, magic in _MAGIC.items() if head.startswith(magic)), "plain")


def _inflate(blocks: Blocks, member: Member, kind: Container) -> Iterator[bytes]:
    engine = zlib.decompressobj(wbits=31) if kind == "gzip" else zstandard.ZstdDecompressor().decompressobj()
    while not engine.eof:
        piece = blocks.at(member.end, SLICE if kind == "gzip" else ZSTD_SLICE)
        if not piece:
            member.error = "truncated"
            return
        try:
            chunk = engine.decompress(piece)
        except (zlib.error, zstandard.ZstdError):
            member.error = f"bad_{kind}"
            return
        member.end += len(piece) - len(engine.unused_data)
        member.done = engine.eof
        if chunk:
            yield chunk


def _lz4_end(blocks: Blocks, offset: int) -> int | None:
    """Where the LZ4 frame at `offset` ends, by its block headers alone; None where the file ends first."""
    flags = blocks.exactly(offset + 4, 1)
    if not flags:
        return None
    has_size, has_dictionary, block_sum, content_sum = flags[0] & 8, flags[0] & 1, flags[0] & 16, flags[0] & 4
    at = offset + 7 + (8 if has_size else 0) + (4 if has_dictionary else 0)
    while len(word := blocks.exactly(at, 4)) == 4:
        size = int.from_bytes(word, "little") & 0x7FFFFFFF
        at += 4 + size + (4 if block_sum and size else 0)
        if size == 0:
            end = at + (4 if content_sum else 0)
            return end if end <= blocks.size else None
    return None


def _unlz4(blocks: Blocks, member: Member) -> Iterator[bytes]:
    end = _lz4_end(blocks, member.end)
    span = _Span(blocks, member.end, blocks.size if end is None else end)
    try:
        reader = Lz4Reader(cast(BinaryIO, span))
        while chunk := reader.read(SLICE):
            member.end = span.tell()
            yield chunk
    except OSError:
        if span.fault is not None:
            raise
        member.error = "truncated" if end is None else "bad_lz4"
        return
    if end is None:
        member.error = "truncated"
    member.end, member.done = span.tell(), end is not None


def chunks(blocks: Blocks, member: Member, kind: Container) -> Iterator[bytes]:
    """The content of one gzip member, LZ4 or zstd frame, piece by piece."""
    return _unlz4(blocks, member) if kind == "lz4" else _inflate(blocks, member, kind)


def joined(blocks: Blocks, member: Member, kind: Container) -> Iterator[bytes]:
    """The content of a member and of those behind it that do not begin with a record: one record may have been cut into several."""
    yield from chunks(blocks, member, kind)
    while member.done and continues(blocks, member.end, kind):
        member.done = False
        yield from chunks(blocks, member, kind)


def continues(blocks: Blocks, offset: int, kind: Container) -> bool:
    """Whether a member begins at `offset` that begins with no record."""
    return blocks.exactly(offset, 4).startswith(_MAGIC[kind]) and not _holds_record(blocks, offset, kind)


def plain(blocks: Blocks, offset: int) -> Iterator[bytes]:
    """The bytes of the file from `offset` on."""
    while piece := blocks.at(offset, 4 * SLICE):
        offset += len(piece)
        yield bytes(piece)


def _holds_record(blocks: Blocks, offset: int, kind: Container) -> bool:
    """Whether what lies at `offset` decompresses to the start of a record."""
    span = _Span(blocks, offset, blocks.size)
    try:
        if kind == "gzip":
            head = zlib.decompressobj(wbits=31).decompress(blocks.at(offset, PROBE), 64)
        else:
            head = Lz4Reader(cast(BinaryIO, span), buffer_size=4096).read(64)
    except zlib.error:
        return False
    except OSError:
        if kind == "gzip" or span.fault is not None:
            raise
        return False
    return _RECORD_START.match(head) is not None


def next_member(blocks: Blocks, offset: int, kind: Container) -> int | None:
    """The first place from `offset` on where a gzip member or LZ4 frame begins that holds a record; None where there is none."""
    magic = re.compile(re.escape(_MAGIC[kind]))
    while block := blocks.at(offset, BLOCK):
        for found in magic.finditer(block):
            if _holds_record(blocks, offset + found.start(), kind):
                return offset + found.start()
        offset += max(1, len(block) - 3)  # a magic number may straddle two blocks
    return None


def stream(blocks: Blocks, whole: Member) -> Iterator[bytes]:
    """The whole file decompressed as one, members joined; `whole.error` says what broke if it ends early."""
    kind = container(blocks)
    if kind == "plain":
        yield from plain(blocks, 0)
        return
    while whole.error is None and any(blocks.at(whole.end, SLICE)):  # zeros behind the last member are padding
        member = Member(whole.end, whole.end)
        yield from chunks(blocks, member, kind)
        whole.end, whole.error = member.end, member.error
