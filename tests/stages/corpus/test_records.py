"""Crawl files, sound and broken, become rows that say where each page lies and what is wrong with the others."""

import gzip
import io
import json
import random
import time
import zlib
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from fastwarc.stream_io import Lz4Writer

from stages.corpus.records import RECORDS, RecordsConfig, index
from stages.corpus.sources import SOURCE_COLUMNS, digest, discover, source_row
from storage.problem import Problem

SAMPLES = Path(__file__).parents[4] / "shared" / "data"
HTML = b"<!doctype html><html><body>A page.</body></html>"


def record(block: bytes, url: str | None = "http://a.example/", id: str | None = "<urn:uuid:1>", **fields: Any) -> bytes:
    """A WARC record; `length` is what its header claims."""
    length = fields.pop("length", len(block))
    lines = [f"WARC-Type: {fields.pop('type', 'response')}", f"Content-Length: {length}", "WARC-Date: 2024-02-03T04:05:06Z"]
    lines += [f"WARC-Target-URI: {url}"] if url is not None else []
    lines += [f"WARC-Record-ID: {id}"] if id is not None else []
    lines += [f"Content-Type: {fields.pop('media', 'application/http; msgtype=response')}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join(["WARC/1.0", *lines, "", ""]).encode() + block + b"\r\n\r\n"


def response(
    body: bytes = HTML, status: int = 200, media: str | None = "text/html", url: str = "http://a.example/", **more: Any
) -> bytes:
    head = f"HTTP/1.1 {status} X\r\n" + (f"Content-Type: {media}\r\n" if media else "") + "\r\n"
    return record(head.encode() + body, url, **more)


def numbered(count: int) -> list[bytes]:
    return [response(url=f"http://a.example/{n}", id=f"<urn:uuid:{n}>") for n in range(count)]


def lz4(data: bytes) -> bytes:
    out = io.BytesIO()
    writer = Lz4Writer(out)
    writer.write(data)
    writer.finish()
    writer.flush()
    return out.getvalue()


def rows(path: Path, content: bytes | None = None, **config: Any) -> pl.DataFrame:
    if content is not None:
        path.write_bytes(content)
    (source,) = discover([str(path)])
    name = digest(source)
    found = index(source_row(source, name), RecordsConfig(**config), {"crawl": {name[:16]: source.url}})
    assert dict(found.schema) == RECORDS.schema(SOURCE_COLUMNS)
    return found


def urls(found: pl.DataFrame) -> list[str | None]:
    return found["url"].to_list()


def reasons(found: pl.DataFrame) -> list[str | None]:
    return found["reason"].to_list()


def test_a_page_becomes_a_row_that_says_what_it_is_and_where_it_lies(tmp_path: Path) -> None:
    before = gzip.compress(record(b"software: x", None, type="warcinfo"))
    page = gzip.compress(response(media='Text/HTML; charset="UTF-8"'))
    found = rows(tmp_path / "x.warc.gz", before + page, dump="CC-MAIN-2024-10")
    assert found.drop("source").row(0, named=True) == {
        "file_path": "x.warc.gz",
        "id": "<urn:uuid:1>",
        "url": "http://a.example/",
        "date": "2024-02-03T04:05:06Z",
        "dump": "CC-MAIN-2024-10",
        "kind": "html",
        "status": 200,
        "mime": "text/html",
        "charset": "utf-8",
        "offset": len(before),
        "length": len(page),
        "skip": 0,
        "field": None,
        "part": 0,
        "reason": None,
        "reason_value": None,
        "reason_threshold": None,
        "reason_detail": None,
    }


@pytest.mark.parametrize(
    ("content", "kind", "mime", "reason"),
    [
        (response(media="application/xhtml+xml"), "html", "application/xhtml+xml", None),
        (response(media=None), "html", None, None),
        (response(b"\xff\xd8 a picture", media=None), None, None, "mime"),
        (response(b"%PDF", media="application/pdf"), None, "application/pdf", "mime"),
        (response(media="text/plain", WARC_Identified_Payload_Type="text/html"), "html", "text/html", None),
        (response(WARC_Identified_Payload_Type=""), "html", "text/html", None),
        (response(status=404), "html", "text/html", "status"),
        (response(status=301, media=None, body=b""), None, None, "status"),
        (response(b""), "html", "text/html", "empty"),
        (response(b"x" * 5000), "html", "text/html", "too_large"),
        (response(url=""), "html", "text/html", "record_error:no_url"),
        (response(url="http://a.example/" + "a" * 1_000_000), "html", "text/html", "url_too_long"),
        (record(b"no HTTP at all"), None, None, "record_error:no_http"),
        (record(HTML, type="resource", media="text/html"), "html", "text/html", None),
        (record(b"PNG", type="resource", media="image/png"), None, "image/png", "mime"),
        (record(b"Text.", type="conversion", media="text/plain"), "text", "text/plain", None),
        (b"http://a.example/ 1.2.3.4 20240203040506 text/html 51\nHTTP/1.0 200 OK\nContent-Type: text/html\n\n<p>Hello.\n", "html", "text/html", None),
        (b"http://a.example/a b 1.2.3.4 20240203040506 text/html 9\n<p>Hello.\n", "html", "text/html", None),
        (b"http://a.example/ 1.2.3.4 20240203040506 text/html 200 - - 0 x.arc 9\n<p>Hello.\n", "html", "text/html", None),
    ],
)  # fmt: skip
def test_the_kind_of_a_page_and_the_first_reason_against_it(
    tmp_path: Path, content: bytes, kind: str | None, mime: str | None, reason: str | None
) -> None:
    found = rows(tmp_path / "x.warc", content, max_page_bytes=4096)
    assert found.select("kind", "mime", "reason").rows() == [(kind, mime, reason)]
    assert all(len(url) <= 8192 for url in urls(found) if url)


def test_arc_dates_become_rfc_3339(tmp_path: Path) -> None:
    found = rows(tmp_path / "x.arc", b"http://a.example/ 1.2.3.4 20240203040506 text/html 9\n<p>Hello.\n")
    assert found["date"].to_list() == ["2024-02-03T04:05:06Z"]


@pytest.mark.parametrize("type", ["warcinfo", "request", "metadata", "revisit", "continuation"])
def test_records_that_are_no_pages_give_no_row(tmp_path: Path, type: str) -> None:
    assert rows(tmp_path / "x.warc", record(b"GET / HTTP/1.1\r\n\r\n", type=type)).is_empty()


def test_brackets_around_a_url_are_wgets_and_go(tmp_path: Path) -> None:
    assert urls(rows(tmp_path / "x.warc", response(url="<http://a.example/>"))) == ["http://a.example/"]


def test_headers_may_hold_anything(tmp_path: Path) -> None:
    content = response(url="http://a.example/@@").replace(b"@@", b"\x00 \xff\xed\xa0\x80")
    found = rows(tmp_path / "x.warc", content)
    assert urls(found) == ["http://a.example/\x00 " + "\ufffd" * 4]
    assert reasons(found) == [None]


@pytest.mark.parametrize("ids", [(None, None), ("<urn:uuid:1>", "<urn:uuid:1>"), ("x" * 5000, "")])
def test_ids_that_are_missing_or_repeated_are_made_of_source_and_offset(
    tmp_path: Path, ids: tuple[str | None, str | None]
) -> None:
    first, second = (response(id=id) for id in ids)
    found = rows(tmp_path / "x.warc", first + second)
    source = found["source"][0]
    assert found["id"][0] == (ids[0] if ids[0] == "<urn:uuid:1>" else f"{source}:0")
    assert found["id"][1] == f"{source}:{len(first)}"


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress, lz4], ids=["plain", "gzip", "lz4"])
def test_all_containers_give_the_same_pages_at_their_own_places(tmp_path: Path, pack: Any) -> None:
    packed = [pack(page) for page in numbered(20)]
    found = rows(tmp_path / "x.warc.gz", b"".join(packed))
    assert urls(found) == [f"http://a.example/{n}" for n in range(20)]
    assert found["offset"].to_list() == [sum(map(len, packed[:n])) for n in range(20)]
    assert found["skip"].to_list() == [0] * 20
    assert reasons(found) == [None] * 20


@pytest.mark.parametrize("pack", [gzip.compress, lz4], ids=["gzip", "lz4"])
def test_records_that_share_a_member_say_how_far_inside_they_lie(tmp_path: Path, pack: Any) -> None:
    pages = numbered(5)
    content = pack(b"".join(pages[:3])) + pack(b"".join(pages[3:]))
    found = rows(tmp_path / "x.warc.gz", content)
    assert found["skip"].to_list() == [0, len(pages[0]), len(pages[0]) * 2, 0, len(pages[3])]
    assert found["offset"].n_unique() == found["length"].n_unique() == 2
    assert found["length"].unique().sum() == len(content)


def test_a_record_cut_into_several_members_is_one_record(tmp_path: Path) -> None:
    pages = numbered(3)
    cut = gzip.compress(pages[1][:150]) + gzip.compress(pages[1][150:300]) + gzip.compress(pages[1][300:])
    found = rows(tmp_path / "x.warc.gz", gzip.compress(pages[0]) + cut + gzip.compress(pages[2]))
    assert reasons(found) == [None] * 3
    assert found["length"][1] == len(cut)


BROKEN = {
    "a flipped byte": (lambda m: m[:60] + b"\xff\xff\xff" + m[63:], "record_error:bad_gzip"),
    "a wrong checksum": (lambda m: m[:-8] + b"\0\0\0\0" + m[-4:], "record_error:bad_gzip"),
    "no data": (lambda m: m[:10], "record_error:bad_gzip"),
    "junk": (lambda m: b"\x1f\x8b\x08 no gzip", "record_error:bad_gzip"),
    "a length too long": (lambda m: gzip.compress(response(length=9999)), "record_error:truncated"),
    "a length too short": (lambda m: gzip.compress(response(length=60)), "record_error:content_length"),
    "no length": (lambda m: gzip.compress(response(length="many")), "record_error:bad_header"),
    "no header": (lambda m: gzip.compress(b"<html>"), "record_error:bad_header"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_reading_goes_on_behind_a_broken_member(tmp_path: Path, what: str) -> None:
    spoil, reason = BROKEN[what]
    members = [gzip.compress(page) for page in numbered(5)]
    members[2] = spoil(members[2])
    found = rows(tmp_path / "x.warc.gz", b"".join(members))
    assert urls(found.filter(pl.col("reason").is_null())) == [f"http://a.example/{n}" for n in (0, 1, 3, 4)]
    assert reasons(found)[2] == reason
    assert found.height == 5


def test_a_clipped_file_keeps_its_sound_pages(tmp_path: Path) -> None:
    for pack, error in ((gzip.compress, "truncated"), (lz4, "truncated"), (bytes, "truncated")):
        content = b"".join(pack(page) for page in numbered(3))
        found = rows(tmp_path / "x.warc.gz", content[:-30])
        assert reasons(found) == [None, None, f"record_error:{error}"]


BROKEN_PLAIN = {
    "a length too long": (response(length=250), "record_error:content_length"),
    "a length past the end": (response(length=10**9), "record_error:truncated"),
    "a length too short": (response(length=60), "record_error:content_length"),
    "a negative length": (response(length=-1), "record_error:bad_header"),
    "an absurd length": (response(length=10**16), "record_error:bad_header"),
    "junk": (b"\r\nWARC/1.0 junk " * 100 + b"\r\n\r\n", "record_error:bad_header"),
    "an endless header": (b"WARC/1.0\r\nX: " + b"x" * 3_000_000 + b"\r\n", "record_error:bad_header"),
    "no type": (response().replace(b"WARC-Type", b"WARC-Tape"), "record_error:bad_header"),
    "an ARC line without length": (b"http://a.example/ 1.2.3.4 20240203040506 text/html -1\n\n", "record_error:bad_header"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN_PLAIN)
def test_reading_goes_on_behind_a_broken_record(tmp_path: Path, what: str) -> None:
    spoiled, reason = BROKEN_PLAIN[what]
    pages = numbered(4)
    found = rows(tmp_path / "x.warc", pages[0] + pages[1] + spoiled + pages[2] + pages[3])
    assert urls(found.filter(pl.col("reason").is_null())) == [f"http://a.example/{n}" for n in range(4)]
    assert reasons(found.filter(pl.col("reason").is_not_null())) == [reason]


def test_a_broken_request_counts_although_it_is_no_page(tmp_path: Path) -> None:
    found = rows(tmp_path / "x.warc", record(b"GET", type="request", length=99))
    assert reasons(found) == ["record_error:truncated"]


def test_an_empty_file_and_one_of_another_kind_are_one_row_each(tmp_path: Path) -> None:
    assert reasons(rows(tmp_path / "x.warc.gz", b"")) == ["record_error:empty_file"]
    assert reasons(rows(tmp_path / "y.warc.gz", b"<html>" * 1000)) == ["record_error:bad_header"]
    assert reasons(rows(tmp_path / "z.warc.gz", zstandard.compress(response()))) == ["record_error:bad_header"]


def test_zeros_behind_the_last_member_are_padding(tmp_path: Path) -> None:
    assert reasons(rows(tmp_path / "x.warc.gz", gzip.compress(response()) + bytes(1000))) == [None]


def test_a_bomb_is_one_row_and_takes_little_memory(tmp_path: Path) -> None:
    import tracemalloc

    zeros = zlib.compressobj(9, wbits=31)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"
    bomb = zeros.compress(record(head, length=300_000_000 + len(head))[: -len(b"\r\n\r\n")])
    bomb += b"".join(zeros.compress(bytes(1_000_000)) for _ in range(300)) + zeros.flush()
    tracemalloc.start()
    found = rows(tmp_path / "x.warc.gz", bomb + gzip.compress(response(id="<urn:uuid:2>")))
    assert reasons(found) == ["too_large", None]
    assert tracemalloc.get_traced_memory()[1] < 120_000_000
    tracemalloc.stop()


def test_an_absurd_length_in_a_member_is_left_at_once(tmp_path: Path) -> None:
    content = gzip.compress(response(length=10**15 - 1)) + gzip.compress(response(id="<urn:uuid:2>"))
    assert reasons(rows(tmp_path / "x.warc.gz", content)) == ["record_error:too_large", None]


@pytest.mark.parametrize(
    "bait",
    [b"\r\nWARC/1.0", b"\nhttp://a", b"\nWARC/1.0\r\n\r\n", b"\x1f\x8b\x08", b"\r\n", b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 9\r\n\r\n"],
)  # fmt: skip
def test_bait_for_the_search_behind_broken_records_takes_time_in_proportion(tmp_path: Path, bait: bytes) -> None:
    start = time.process_time()
    rows(tmp_path / "x.warc", bait * (400_000 // len(bait)))
    rows(tmp_path / "y.warc.gz", b"\x1f\x8b\x08junk" + bait * (400_000 // len(bait)))
    assert time.process_time() - start < 5


def test_a_header_of_continued_lines_takes_time_in_proportion(tmp_path: Path) -> None:
    start = time.process_time()
    head = "\r\n".join(["WARC/1.0", "WARC-Type: response", "Content-Length: 0", "X: y", *[" z"] * 400_000, "", ""])
    assert reasons(rows(tmp_path / "x.warc", head.encode() + response())) == ["record_error:no_url", None]
    assert time.process_time() - start < 5


def test_random_damage_never_raises_and_never_invents_a_page(tmp_path: Path) -> None:
    dice = random.Random(1)
    pages = numbered(6)
    for pack in (bytes, gzip.compress, lz4):
        sound = b"".join(pack(page) for page in pages)
        for _ in range(40):
            content = bytearray(sound)
            for _ in range(dice.randint(1, 5)):
                at = dice.randrange(len(content))
                if dice.random() < 0.5:
                    content[at] = dice.randrange(256)
                else:
                    del content[at : at + dice.randint(1, 300)]
            found = rows(tmp_path / "x.warc.gz", bytes(content))
            assert found.height <= 12
            assert found["id"].n_unique() == found.height


def test_parts_hold_at_most_so_many_records_and_bytes(tmp_path: Path) -> None:
    content = b"".join(numbered(10))
    assert rows(tmp_path / "x.warc", content, max_records=4)["part"].to_list() == [0] * 4 + [1] * 4 + [2] * 2
    assert rows(tmp_path / "x.warc", content, max_bytes=3 * len(HTML))["part"].to_list() == [0] * 3 + [1] * 3 + [2] * 3 + [3]
    assert rows(tmp_path / "x.warc", content, max_bytes=1)["part"].to_list() == list(range(10))


def test_a_compressed_page_counts_as_large_as_it_is(tmp_path: Path) -> None:
    body = gzip.compress(b"<html>" + b"word " * 200_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n"
    pages = [record(head + body, f"http://a.example/{n}", f"<urn:uuid:{n}>") for n in range(4)]
    assert len(body) < 10_000
    assert rows(tmp_path / "x.warc", b"".join(pages), max_bytes=2_500_000)["part"].to_list() == [0, 0, 1, 1]


TEXTS = [{"text": "One.", "id": "1", "url": "http://a.example/1", "date": "2024-01-01"}, {"text": "Zwei…", "id": "2", "url": None, "date": None}]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "pack"), [("x.jsonl", bytes), ("x.jsonl.gz", gzip.compress), ("x.jsonl.zst", zstandard.compress)]
)
def test_json_lines_are_ready_text(tmp_path: Path, name: str, pack: Any) -> None:
    lines = [json.dumps(row).encode() + b"\n" for row in TEXTS]
    found = rows(tmp_path / name, pack(b"".join(lines)))
    assert found.select("id", "url", "date", "kind", "field", "mime", "reason").rows() == [
        ("1", "http://a.example/1", "2024-01-01", "text", "text", None, None),
        ("2", None, None, "text", "text", None, None),
    ]
    starts = [0, len(lines[0])]
    assert found["offset" if name == "x.jsonl" else "skip"].to_list() == starts


def test_broken_lines_are_rows_and_the_others_stay(tmp_path: Path) -> None:
    lines = [
        b'{"text": "One.", "id": "1", "url": "u", "date": "d"}',
        b"",
        b"{no json",
        b'["a list"]',
        b'{"text": 3}',
        b'{"text": null}',
        b'{"text": "a lone \\ud800 surrogate"}',
        b'{"text": "not \xff UTF-8"}',
        b'{"text": "' + b"x" * 3000 + b'"}',
        b"[" * 100_000,
        b'{"text": "last"}',
    ]
    found = rows(tmp_path / "x.jsonl", b"\n".join(lines), max_page_bytes=2000)
    assert reasons(found) == [
        None, "record_error:bad_json", "record_error:bad_json", "record_error:no_text", "empty", None, None,
        "record_error:too_large", "record_error:too_large", None,
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "pack"), [("x.jsonl.gz", gzip.compress), ("x.jsonl.zst", zstandard.compress)])
def test_clipped_json_lines_keep_what_can_be_read(tmp_path: Path, name: str, pack: Any) -> None:
    dice = random.Random(1)
    lines = b"".join(json.dumps({**TEXTS[0], "text": dice.randbytes(500).hex()}).encode() + b"\n" for _ in range(1000))
    found = rows(tmp_path / name, pack(lines)[:-1000])
    assert found["reason"].null_count() > 500
    assert reasons(found)[-1] == "record_error:truncated"


def test_parquet_is_ready_text_with_any_column_names(tmp_path: Path) -> None:
    table = {"body": ["One.", "", None, "Four."], "key": [1, 2, 3, 4], "when": [None, None, None, "d"]}
    pq.write_table(pa.table(table), tmp_path / "x.parquet")
    found = rows(tmp_path / "x.parquet", text_column="body", id_column="key", url_column=None, date_column="when")
    assert found.select("id", "url", "date", "offset", "length", "field", "reason").rows() == [
        ("1", None, None, 0, 1, "body", None),
        ("2", None, None, 1, 1, "body", "empty"),
        ("3", None, None, 2, 1, "body", "empty"),
        ("4", None, "d", 3, 1, "body", None),
    ]


def test_a_broken_table_is_a_row(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(TEXTS), tmp_path / "x.parquet")
    content = (tmp_path / "x.parquet").read_bytes()
    assert reasons(rows(tmp_path / "x.parquet", content[:-20])) == ["record_error:bad_parquet"]
    assert reasons(rows(tmp_path / "x.parquet", b"PAR1")) == ["record_error:bad_parquet"]


@pytest.mark.parametrize("name", ["x.parquet", "x.jsonl"])
def test_a_wrong_mapping_is_one_clear_error(tmp_path: Path, name: str) -> None:
    if name == "x.parquet":
        pq.write_table(pa.table({"body": ["One."], "n": [1]}), tmp_path / name)
    else:
        (tmp_path / name).write_text('{"body": "One.", "n": 1}\n')
    with pytest.raises(Problem, match=rf"{name} has no column 'text' for the text of a page; it has: body, n\. Set text_column"):
        rows(tmp_path / name)
    with pytest.raises(Problem, match=r"has no column 'url' .* Set url_column to the column that holds it, or to null"):
        rows(tmp_path / name, text_column="body", id_column=None)


def test_a_column_of_numbers_is_no_text(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": [1]}), tmp_path / "x.parquet")
    with pytest.raises(Problem, match="column 'n' holds int64, expected strings"):
        rows(tmp_path / "x.parquet", text_column="n", id_column=None, url_column=None, date_column=None)


def test_a_json_array_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="holds a JSON array; expected one JSON object per line"):
        rows(tmp_path / "x.json", json.dumps(TEXTS, indent=1).encode())


def test_the_same_file_gives_the_same_rows(tmp_path: Path) -> None:
    content = b"".join(gzip.compress(page) for page in numbered(10))
    assert rows(tmp_path / "x.warc.gz", content).equals(rows(tmp_path / "x.warc.gz"))


SAMPLE_ROWS = {
    "resiliparse/block-sized-records.warc": {},
    "resiliparse/clipped.warc.gz": {"record_error:truncated": 1},
    "resiliparse/clueweb-quirk.warc.gz": {None: 29},
    "resiliparse/warcfile.warc": {None: 16},
    "resiliparse/warcfile.warc.gz": {None: 16},
    "resiliparse/warcfile.warc.lz4": {None: 16},
    "warcio/bad.arc": {"record_error:bad_header": 2, "mime": 1},
    "warcio/example-bad-non-chunked.warc.gz": {None: 1},
    "warcio/example-bad.warc.gz.bad": {None: 1, "status": 1},
    "warcio/example-iana.org-chunked.warc": {None: 1},
    "warcio/example-resource.warc.gz": {None: 1},
    "warcio/example-space-in-target-uri.warc.gz": {"mime": 1},
    "warcio/example-space-in-url.arc": {"record_error:truncated": 1},
    "warcio/example-trunc.warc": {"record_error:content_length": 1},
    "warcio/example-wget-bad-target-uri.warc.gz": {None: 1, "mime": 2},
    "warcio/example-wrong-chunks.warc.gz": {None: 1},
    "warcio/example.arc.gz": {None: 1},
    "warcio/post-test.warc.gz": {"mime": 3},
    "whirlwind/whirlwind.warc.gz": {None: 1},
    "whirlwind/whirlwind.warc.wat.gz": {},
    "whirlwind/whirlwind.warc.wet.gz": {None: 1},
}


@pytest.mark.skipif(not SAMPLES.exists(), reason="../shared/data is not here")
def test_upstream_samples_are_read_as_far_as_they_can_be() -> None:
    found = {source.path: rows(Path(source.url)) for source in discover([f"{SAMPLES}/warc_samples/**/*"])}
    assert len(found) == 30
    counted = {path: dict(table["reason"].value_counts().rows()) for path, table in found.items()}
    assert {path: counted[path] for path in SAMPLE_ROWS} == SAMPLE_ROWS
