"""The original of a page: read again from the crawl, shown as source, refused where the file is not the one that was indexed."""

import gzip
import json
import os
import re
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi.testclient import TestClient

from flows.locations import MEMO, located
from flows.viewer import original
from stages.corpus.records import RecordsConfig, index
from stages.corpus.sources import SourceFile, content_digest, digest, discover, source_row
from storage.problem import Problem
from storage.runs import records
from storage.store import Store
from storage.viewer.page import Original
from tests.flows.conftest import CorpusRun
from tests.flows.test_hostile import member
from tests.flows.test_hostile import page as english
from tests.stages.corpus.conftest import web  # noqa: F401  fixture
from tests.storage.viewer.conftest import HOSTILE_TEXTS, client
from tests.storage.viewer.test_pages import CLIMBS, Links, raw

HOSTILE = "<html>\r\n<script>window.hacked=1</script>\n" + "\n".join(HOSTILE_TEXTS) + "\rthe end</html>"
PAGES = {
    "good": member("good", english(1)),
    "hostile": member("hostile", HOSTILE.encode(), media="text/html; charset=utf-8"),
    "latin": member("latin", "<p>grün, «ça»</p>".encode("latin-1"), media="text/html; charset=iso-8859-1"),
    "wide": member("wide", "\ufeff<p>żółw ☃</p>".encode("utf-16-le")),
    "packed": member("packed", gzip.compress(b"<p>was packed</p>"), header="Content-Encoding: gzip\r\n"),
    "broken": member("broken", gzip.compress(english(2))[:-9], header="Content-Encoding: gzip\r\n"),
    "nulls": member("nulls", b"<p>" + b"\x00" * 300_000 + b"last</p>"),
    "long": member("long", b"<p>line</p>\n" * 60_000),
}
READY = {"one": "first", "two": "<b>second</b>\nline"}


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("originals") / "crawl"
    folder.mkdir()
    (folder / "pages.warc.gz").write_bytes(b"".join(PAGES.values()))
    for name in ("moved", "clipped", "touched", "rewritten"):
        (folder / f"{name}.warc.gz").write_bytes(member(name, english(len(name))))
    with gzip.open(folder / "ready.jsonl.gz", "wt") as file:
        file.writelines(
            json.dumps({"id": f"<urn:{n}>", "url": "x", "date": "", "text": text}) + "\n" for n, text in READY.items()
        )
    return folder


@pytest.fixture(scope="module")
def store(corpus_run: CorpusRun, crawl: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store(str(tmp_path_factory.mktemp("originals") / "store"))
    corpus_run(str(crawl), made.url)
    return made


@pytest.fixture
def viewer(store: Store) -> TestClient:
    return client(store.url, original=original)


def address(store: Store, page: str) -> str:
    return "/original?" + urlencode({"run": next(records(store)).id, "id": f"<urn:{page}>"})


def source(viewer: TestClient, store: Store, page: str) -> list[str]:
    """The lines of the source, as a reader sees them."""
    answer = viewer.get(address(store, page))
    assert answer.status_code == 200, answer.text[-900:]
    [block] = re.findall(r'<pre class="source">(.*?)</pre>', answer.text, re.DOTALL)
    return [Links(line).text for line in re.findall(r"<span>((?:(?!<span>).|<span class.*?</span>)*)</span>", block, re.DOTALL)]


def test_the_source_is_what_the_server_sent_line_by_line(viewer: TestClient, store: Store) -> None:
    assert "".join(source(viewer, store, "good")) == english(1).decode()
    html = viewer.get(address(store, "good")).text
    assert "HTTP <b>200</b>" in html
    assert "declared <b>text/html</b>" in html
    assert f"<b>{len(english(1)):,}</b> bytes" in html


@pytest.mark.parametrize(
    ("page", "lines", "encoding"),
    [
        ("latin", ["<p>grün, «ça»</p>"], "cp1252"),
        ("wide", ["<p>żółw ☃</p>"], "utf-16-le"),
        ("packed", ["<p>was packed</p>"], "utf-8"),
        ("two", ["<b>second</b>", "line"], "utf-8"),
    ],
)
def test_encodings_are_undone(viewer: TestClient, store: Store, page: str, lines: list[str], encoding: str) -> None:
    assert source(viewer, store, page) == lines
    assert f"read as <b>{encoding}</b>" in viewer.get(address(store, page)).text


def test_a_hostile_page_is_only_text(viewer: TestClient, store: Store) -> None:
    lines = source(viewer, store, "hostile")
    assert lines[:2] == ["<html>", "<script>window.hacked=1</script>"]
    assert lines[-1] == "the end</html>"
    assert "abc‹U+202E›gnp.exe‹U+202C› ‹U+2066›x‹U+2069› ‹U+0000›‹U+0007›‹U+001B›[31m" in lines
    answer = viewer.get(address(store, "hostile"))
    links = Links(answer.text)
    assert links.scripts == ["/static/keyboard.js"]
    assert all(found.startswith(("/", "#")) and not found.startswith("//") for found in links.found)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\u200b]", links.text)
    assert "script-src 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(("page", "whole"), [("nulls", 300_011), ("long", 720_000)])
def test_of_a_long_page_the_beginning_is_shown_and_said(viewer: TestClient, store: Store, page: str, whole: int) -> None:
    answer = viewer.get(address(store, page))
    assert len(answer.text) < 4_000_000
    found = re.search(r"The first ([\d,]+) of ([\d,]+) characters", answer.text)
    assert found
    assert (int(found[1].replace(",", "")) <= 500_000, found[2]) == (True, f"{whole:,}")


def test_the_way_of_a_page_leads_to_its_source_where_the_viewer_can_read_it(viewer: TestClient, store: Store) -> None:
    path = address(store, "good").replace("/original", "/document")
    found = re.search(r'href="(/original[^"]+)">HTML source</a>', viewer.get(path).text)
    assert found
    answer = viewer.get(found[1].replace("&amp;", "&"))
    assert "house" in answer.text
    assert '<a href="/document?' in answer.text
    blind = client(store.url)
    assert "HTML source" not in blind.get(path).text
    assert "only where it lies" in blind.get(path).text
    assert blind.get(address(store, "good")).status_code == 404


def refusal(viewer: TestClient, store: Store, page: str) -> str:
    answer = viewer.get(address(store, page))
    assert answer.status_code == 400
    [text] = re.findall(r"<h1>Bad Request</h1>\n<p>(.*)</p>", answer.text)
    assert "Traceback" not in text
    return str(text)


def test_a_page_that_cannot_be_decoded_says_so(viewer: TestClient, store: Store) -> None:
    assert "cannot be decoded: truncated_encoding" in refusal(viewer, store, "broken")


def test_a_file_that_moved_is_named_and_found_again_by_the_next_run(
    viewer: TestClient, store: Store, crawl: Path, corpus_run: CorpusRun, tmp_path: Path
) -> None:
    page = address(store, "moved")
    (crawl / "moved.warc.gz").rename(tmp_path / "moved.warc.gz")
    said = refusal(viewer, store, "moved")
    assert f"{crawl}/moved.warc.gz is gone. Put it back, or run" in said
    corpus_run(str(tmp_path), store.url)
    assert viewer.get(page).status_code == 200, "of the old run"
    assert viewer.get(address(store, "moved")).status_code == 200, "of the new run"
    (store.local("runs") / f"{next(records(store)).id}.json").unlink()


def test_a_file_that_changed_in_any_way_is_not_read(viewer: TestClient, store: Store, crawl: Path) -> None:
    file = crawl / "clipped.warc.gz"
    size = file.stat().st_size
    os.truncate(file, 100)
    assert re.search(
        f"not the one that was indexed: expected {size:,} bytes of .*, found 100 bytes", refusal(viewer, store, "clipped")
    )
    os.utime(crawl / "touched.warc.gz", ns=(1, 1))
    assert "run the flow again" in refusal(viewer, store, "touched")


def test_a_damaged_file_that_looks_the_same_is_named(viewer: TestClient, store: Store, crawl: Path) -> None:
    file = crawl / "rewritten.warc.gz"
    times = file.stat().st_mtime_ns
    file.write_bytes(bytes(file.stat().st_size))
    os.utime(file, ns=(times, times))
    assert "is not the file that was indexed" in refusal(viewer, store, "rewritten")


def test_without_the_memo_it_says_that_a_run_brings_it_back(viewer: TestClient, store: Store) -> None:
    kept = store.read(MEMO)
    for content in (b"{}", b"no JSON", json.dumps({"/etc/passwd": ["1-1", "0" * 64]}).encode()):
        store.write(MEMO, content)
        said = refusal(viewer, store, "good")
        assert "not known where pages.warc.gz lies" in said
        assert "run the flow again" in said
    store.remove(MEMO)
    assert "the memo was deleted" in refusal(viewer, store, "good")
    store.write(MEMO, kept)
    assert viewer.get(address(store, "good")).status_code == 200


@pytest.mark.parametrize("climb", [*CLIMBS, "<urn:nosuch>"])
def test_nothing_in_the_address_names_a_file(viewer: TestClient, store: Store, climb: str) -> None:
    run = next(records(store)).id
    for asked in (
        {"run": climb, "id": "<urn:good>"},
        {"run": run, "id": climb},
        {"run": run, "id": "<urn:good>", "shard": climb},
        {"run": run, "id": "<urn:good>", "file": climb},
        {"id": climb},
    ):
        status, text = raw(viewer.app, "/original?" + urlencode(asked))
        assert status in (400, 404), asked
        assert "root:" not in text


def placed(folder: Path, url: str) -> tuple[Store, dict[str, Any]]:
    """A store whose memo knows the crawl file at `url`, and the row of its first page."""
    [file] = discover([url])
    name = digest(file)
    row = index(source_row(file, name), RecordsConfig(), {"crawl": {name[:16]: url}}).row(0, named=True)
    store = Store(str(folder))
    store.write(MEMO, json.dumps({file.url: (file.token, content_digest(file))}).encode())
    return store, row


def test_a_page_on_a_web_server_is_read_by_ranges(web: Any, tmp_path: Path) -> None:  # noqa: F811
    (web.folder / "x.warc.gz").write_bytes(member("far", b"<p>from afar</p>"))
    store, row = placed(tmp_path, web.base + "x.warc.gz")
    assert original(store, row) == Original("<p>from afar</p>", 16, 16, "utf-8")
    (web.folder / "x.warc.gz").write_bytes(member("far", b"<p>other</p>"))
    with pytest.raises(Problem, match="not the one that was indexed"):
        original(store, row)
    (web.folder / "x.warc.gz").unlink()
    with pytest.raises(Problem, match="cannot be reached"):
        original(store, row)


def test_a_server_that_never_answers_holds_nobody(web: Any, tmp_path: Path) -> None:  # noqa: F811
    (web.folder / "x.warc.gz").write_bytes(member("far", b"<p>from afar</p>"))
    store, row = placed(tmp_path, web.base + "x.warc.gz")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x.warc.gz"
        known = json.loads(store.read(MEMO))
        store.write(MEMO, json.dumps({url: next(iter(known.values()))}).encode())
        begun = time.monotonic()
        with pytest.raises(Problem, match="did not give the page within 4 s"):
            original(store, row, seconds=4)
        assert time.monotonic() - begun < 8


def test_a_published_crawl_never_changes_and_is_not_asked(tmp_path: Path) -> None:
    url, path = "https://nosuch.example/crawl-data/1.warc.gz", "crawl-data/1.warc.gz"
    file = SourceFile(url, path, None, url, "warc", published=True)
    store = Store(str(tmp_path))
    store.write(MEMO, json.dumps({url: (url, content_digest(file))}).encode())
    assert located(store, digest(file)[:16], path) == url
    for source in ("", "0" * 16):
        with pytest.raises(Problem, match="not known where"):
            located(store, source, path)
