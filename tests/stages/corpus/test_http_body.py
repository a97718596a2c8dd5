"""Bodies of HTTP responses: chunks joined, encodings undone, what only claims to be encoded left alone, bombs refused."""

import gzip
import zlib

import brotli
import pytest
import zstandard

from stages.corpus.http_body import BODY_BYTES, BodyError, decode

PAGE = b"<html><body>" + b"A page with some text. " * 40 + b"</body></html>"
RAW = zlib.compressobj(wbits=-15)
ENCODED = {
    "gzip": gzip.compress(PAGE),
    "x-gzip": gzip.compress(PAGE),
    "deflate": zlib.compress(PAGE),
    "Deflate": RAW.compress(PAGE) + RAW.flush(),
    "br": brotli.compress(PAGE),
    "zstd": zstandard.compress(PAGE),
    "identity": PAGE,
    "made-up": PAGE,
    "": PAGE,
}


def chunked(body: bytes, size: int = 100) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x;name=value\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@pytest.mark.parametrize("name", ENCODED)
def test_encodings_are_undone_with_and_without_chunks(name: str) -> None:
    assert decode(ENCODED[name], {"content-encoding": name}) == PAGE
    assert decode(chunked(ENCODED[name]), {"content-encoding": name, "transfer-encoding": "Chunked"}) == PAGE


@pytest.mark.parametrize("name", ENCODED)
def test_a_body_recorded_decoded_under_the_header_of_the_encoded_one_is_taken_as_it_is(name: str) -> None:
    assert decode(PAGE, {"content-encoding": name, "transfer-encoding": "chunked"}) == PAGE


def test_encodings_are_undone_last_first() -> None:
    assert decode(brotli.compress(gzip.compress(PAGE)), {"content-encoding": "gzip, br"}) == PAGE


@pytest.mark.parametrize(
    ("body", "fields", "error"),
    [
        (ENCODED["gzip"][:-20], {"content-encoding": "gzip"}, "truncated_encoding"),
        (ENCODED["gzip"][:10] + b"\x06" * 20, {"content-encoding": "gzip"}, "bad_encoding"),
        (ENCODED["deflate"][:-20], {"content-encoding": "deflate"}, "truncated_encoding"),
        (ENCODED["br"][:-20], {"content-encoding": "br"}, "bad_encoding"),
        (ENCODED["zstd"][:-20], {"content-encoding": "zstd"}, "truncated_encoding"),
        (ENCODED["zstd"][:6] + b"\xff" * 60, {"content-encoding": "zstd"}, "bad_encoding"),
        (chunked(PAGE)[:-60], {"transfer-encoding": "chunked"}, "bad_chunks"),
        (gzip.compress(bytes(BODY_BYTES + 1)), {"content-encoding": "gzip"}, "too_large"),
        (zlib.compress(bytes(BODY_BYTES + 1)), {"content-encoding": "deflate"}, "too_large"),
        (brotli.compress(bytes(BODY_BYTES + 1), quality=1), {"content-encoding": "br"}, "too_large"),
        (zstandard.compress(bytes(BODY_BYTES + 1)), {"content-encoding": "zstd"}, "too_large"),
    ],
)
def test_bodies_that_break_and_bombs_are_errors(body: bytes, fields: dict[str, str], error: str) -> None:
    with pytest.raises(BodyError, match=f"^{error}$"):
        decode(body, fields)


def test_chunks_without_a_last_one_are_joined() -> None:
    assert decode(chunked(PAGE).removesuffix(b"0\r\n\r\n"), {"transfer-encoding": "chunked"}) == PAGE


def test_an_empty_body_stays_empty() -> None:
    for name in ENCODED:
        if name not in ("deflate", "Deflate", "br"):
            assert decode(b"", {"content-encoding": name, "transfer-encoding": "chunked"}) == b""
