"""Pages are read again from the crawl by the rows of `records`: the same bytes, from disk and over HTTP."""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from fastwarc.stream_io import Lz4Writer
from warcio.archiveiterator import ArchiveIterator
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from stages.corpus.crawl import Page, read_page, read_pages
from stages.corpus.records import RecordsConfig, index
from stages.corpus.sources import digest, discover, source_row
from storage.problem import Problem

DATA = Path(__file__).parents[4] / "shared" / "data"


def warc(count: int, packed: bool = True, **fields: str) -> bytes:
    """A WARC file of warcio's: an information record, then request and response for each of `count` pages."""
    out = io.BytesIO()
    writer = WARCWriter(out, gzip=packed)
    writer.write_record(writer.create_warcinfo_record("x", {"software": "x"}))
    for n in range(count):
        for kind, line in (("request", "GET / HTTP/1.1"), ("response", "200 OK")):
            head = StatusAndHeaders(line, [("Content-Type", "text/html"), *fields.items()], protocol="HTTP/1.1")
            record = writer.create_warc_record(f"http://a.example/{n}", kind, payload=io.BytesIO(body(n)), http_headers=head)
            writer.write_record(record)
    return out.getvalue()


def body(n: int) -> bytes:
    return f"<html><body>Page {n}. ".encode() + b"Words. " * (n * 37 % 100) + b"</body></html>"


def indexed(pattern: str, **config: Any) -> tuple[pl.DataFrame, dict[str, str]]:
    """All rows of the named sources, and where they lie."""
    tables, crawl = [], {}
    for source in discover([pattern]):
        name = digest(source)
        crawl[name[:16]] = source.url
        tables.append(index(source_row(source, name), RecordsConfig(**config), {"crawl": crawl}))
    return pl.concat(tables), crawl


def lz4(data: bytes) -> bytes:
    out = io.BytesIO()
    writer = Lz4Writer(out)
    writer.write(data)
    writer.finish()
    writer.flush()
    return out.getvalue()


LAYOUTS = {
    "plain": warc(30, packed=False),
    "a gzip member for each record": warc(30),
    "one gzip member": gzip.compress(warc(30, packed=False)),
    "gzip members that cut records": b"".join(
        gzip.compress(warc(30, packed=False)[at : at + 700]) for at in range(0, len(warc(30, packed=False)), 700)
    ),
    "one LZ4 frame": lz4(warc(30, packed=False)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_page_is_read_again_whatever_the_container(tmp_path: Path, layout: str) -> None:
    content = LAYOUTS[layout]
    (tmp_path / "x.warc.gz").write_bytes(content)
    docs, crawl = indexed(str(tmp_path / "x.warc.gz"))
    kept = docs.filter(pl.col("reason").is_null())
    assert kept.height == 30
    for rows in (kept, kept[::3], kept.reverse()):
        pages = list(read_pages(rows, crawl))
        assert pages == [Page(body(int(url.rpartition("/")[2]))) for url in rows["url"]]


def test_one_page_can_be_read_alone(tmp_path: Path) -> None:
    (tmp_path / "x.warc.gz").write_bytes(warc(5))
    docs, crawl = indexed(str(tmp_path / "x.warc.gz"))
    row = docs.row(3, named=True)
    assert read_page(crawl[row["source"]], row) == Page(body(3))


def test_rows_of_several_sources_may_be_mixed(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.warc.gz").write_bytes(warc(3))
    docs, crawl = indexed(str(tmp_path))
    docs = docs.with_row_index().sort(pl.col("index") % 3)
    assert [page.payload for page in read_pages(docs, crawl)] == [body(n) for n in (0, 0, 1, 1, 2, 2)]


def test_encodings_are_undone_and_broken_ones_are_errors_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "x.warc.gz").write_bytes(warc(2, **{"Content-Encoding": "gzip"}))
    docs, crawl = indexed(str(tmp_path / "x.warc.gz"))
    assert next(read_pages(docs, crawl)) == Page(body(0))
    broken = gzip.compress(body(1))[:-9]
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n" + broken
    block = b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://a/\r\nContent-Type: application/http\r\nContent-Length: %d\r\n\r\n%s"
    (tmp_path / "y.warc").write_bytes(block % (len(head), head))
    docs, crawl = indexed(str(tmp_path / "y.warc"))
    assert list(read_pages(docs, crawl)) == [Page(b"", "truncated_encoding")]


@pytest.mark.parametrize(
    ("name", "pack"), [("x.jsonl", bytes), ("x.jsonl.gz", gzip.compress), ("x.jsonl.zst", zstandard.compress)]
)
def test_ready_lines_are_read_again_as_utf_8(tmp_path: Path, name: str, pack: Any) -> None:
    texts = ["One.", "Zwei…", "", "Vier \ud800."]
    (tmp_path / name).write_bytes(pack("\n\n".join(json.dumps({"body": text}) for text in texts).encode()))
    docs, crawl = indexed(str(tmp_path / name), text_column="body", id_column=None, url_column=None, date_column=None)
    for rows in (docs, docs[::2], docs.reverse()):
        assert {page.payload.decode() for page in read_pages(rows, crawl)} <= {"One.", "Zwei…", "", "Vier ?."}
    assert [page.payload.decode() for page in read_pages(docs, crawl)] == ["One.", "Zwei…", "", "Vier ?."]
    assert [page.payload.decode() for page in read_pages(docs.reverse(), crawl)] == ["Vier ?.", "", "Zwei…", "One."]


def test_ready_rows_of_a_table_are_read_again(tmp_path: Path) -> None:
    texts = [f"Text {n}." for n in range(2000)]
    pq.write_table(pa.table({"text": texts, "id": texts}), tmp_path / "x.parquet", row_group_size=300)
    docs, crawl = indexed(str(tmp_path / "x.parquet"), url_column=None, date_column=None)
    for rows in (docs, docs[::7], docs[::-50]):
        assert [page.payload.decode() for page in read_pages(rows, crawl)] == [texts[n] for n in rows["offset"]]


def test_a_file_that_is_gone_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "x.warc.gz").write_bytes(warc(2))
    docs, crawl = indexed(str(tmp_path / "x.warc.gz"))
    (tmp_path / "x.warc.gz").unlink()
    with pytest.raises(Problem, match=r"The crawl file .*x\.warc\.gz is gone\. Put it back"):
        list(read_pages(docs, crawl))
    with pytest.raises(Problem, match="No crawl file is known for source"):
        list(read_pages(docs, {}))


@pytest.mark.parametrize(
    "other", [warc(2), b"", gzip.compress(b"<html>"), warc(2)[:500]], ids=["other ids", "empty", "junk", "clipped"]
)
def test_a_file_that_changed_is_a_clear_error(tmp_path: Path, other: bytes) -> None:
    (tmp_path / "x.warc.gz").write_bytes(warc(2))
    docs, crawl = indexed(str(tmp_path / "x.warc.gz"))
    (tmp_path / "x.warc.gz").write_bytes(other)
    with pytest.raises(
        Problem, match=r"x\.warc\.gz is not the file that was indexed: expected http://a\.example/0 at byte .*Run again"
    ):
        list(read_pages(docs, crawl))


def test_a_record_that_could_not_be_indexed_is_a_page_with_its_error(tmp_path: Path) -> None:
    (tmp_path / "x.warc.gz").write_bytes(warc(2)[:-30])
    docs, crawl = indexed(str(tmp_path / "x.warc.gz"))
    row = docs.row(-1, named=True)
    assert row["reason"] == "record_error:truncated"
    assert read_page(crawl[row["source"]], row) == Page(b"", "truncated")


@pytest.mark.parametrize("layout", ["plain", "a gzip member for each record", "one gzip member"])
def test_an_address_is_read_by_ranges_with_the_same_result(tmp_path: Path, web: Any, layout: str) -> None:
    for file in (web.folder / "x.warc.gz", tmp_path / "x.warc.gz"):
        file.write_bytes(LAYOUTS[layout])
    local, _ = indexed(str(tmp_path / "x.warc.gz"))
    docs, crawl = indexed(web.base + "x.warc.gz")
    assert docs.drop("source").equals(local.drop("source"))
    web.asked.clear()
    assert [page.payload for page in read_pages(docs, crawl)] == [body(n) for n in range(30)]
    ranges = [line for line in web.asked if line.startswith("bytes=")]
    assert len(ranges) == 1  # neighbours share a block


def test_a_common_crawl_dump_is_listed_indexed_and_read_from_its_base_address(web: Any) -> None:
    paths = [f"crawl-data/CC-MAIN-2024-10/segments/1/warc/{n}.warc.gz" for n in range(2)]
    for path in paths:
        (web.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (web.folder / path).write_bytes(warc(3))
    (web.folder / "crawl-data/CC-MAIN-2024-10/warc.paths.gz").write_bytes(gzip.compress("\n".join(paths).encode()))
    found = discover(["CC-MAIN-2024-10"], common_crawl=web.base)
    names = {source: digest(source)[:16] for source in found}
    crawl = {name: source.url for source, name in names.items()}
    docs = pl.concat([index(source_row(source, name), RecordsConfig(), {"crawl": crawl}) for source, name in names.items()])
    assert docs["file_path"].unique().sort().to_list() == paths
    assert [page.payload for page in read_pages(docs, crawl)] == [body(n) for n in (0, 1, 2, 0, 1, 2)]


@pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not here")
@pytest.mark.parametrize("name", ["warcfile.warc", "warcfile.warc.gz", "warcfile.warc.lz4", "clueweb-quirk.warc.gz"])
def test_upstream_samples_give_the_bytes_that_warcio_gives(name: str) -> None:
    docs, crawl = indexed(f"{DATA}/warc_samples/resiliparse/{name}")
    reference = DATA / "warc_samples" / "resiliparse" / name.replace(".lz4", ".gz")
    with open(reference, "rb") as file:
        expected = {
            record.rec_headers.get_header("WARC-Record-ID"): record.content_stream().read()
            for record in ArchiveIterator(file)
            if record.rec_type == "response"
        }
    assert docs.height == len(expected)
    for row, page in zip(docs.iter_rows(named=True), read_pages(docs, crawl), strict=True):
        assert page == Page(expected[row["id"]]), row["url"]
