"""A page's way through a run: every stage that saw it, what it measured and decided, and what it made of the text."""

import random
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import polars as pl
import pytest
from fastapi.testclient import TestClient

from storage.runs import RunRecord
from storage.shards import write_shard
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer.difference import difference

from .conftest import HOSTILE_TEXTS, client
from .test_pages import Links, at

PAGE = {"id": pl.String(), "url": pl.String()}
VERDICT = {"reason": pl.String(), "reason_value": pl.Float64(), "reason_threshold": pl.Float64(), "reason_detail": pl.String()}
EXTRACT = PAGE | {"text": pl.String(), "html_bytes": pl.Int64()}
RECORDS = PAGE | {"file_path": pl.String(), "offset": pl.Int64(), "length": pl.Int64(), "skip": pl.Int64(), "field": pl.String()}
PLACE = {"file_path": "<b>crawl</b>/\u202e1.warc.gz", "offset": 123_456, "length": 7_890, "skip": 55}
LINE = {"file_path": "ready.jsonl.gz", "offset": 17, "length": 1, "field": "body"}
C4 = PAGE | {"text": pl.String(), "sentences": pl.Int32(), "token": pl.Binary()} | VERDICT
BEFORE = "A headline\nThe first sentence stands here.\nWrite to ann@mail.example today.\n" + "The rest stays as it is.\n" * 9
AFTER = "The first sentence stands here.\nWrite to ann@hidden.example today.\n" + "The rest stays as it is.\n" * 9


def shards(store: Store, record: RunRecord, stage: str, columns: Any, rows: list[list[dict[str, Any]]]) -> Snapshot:
    files = []
    for part, values in enumerate(rows):
        frame = pl.DataFrame([dict.fromkeys(columns) | one for one in values], schema=columns)
        files.append(
            write_shard(store, f"{stage}/0123456789ab", f"{stage}-p000{part}-00000000.parquet", frame, columns, f"o{part}")
        )
    snapshot = Snapshot.of(stage, "0123456789ab", files)
    snapshot.seal(store)
    record.add(stage, snapshot, {}, False, 1.0)
    return snapshot


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, RunRecord, dict[str, Snapshot]]:
    """Pages a (kept, its text changed) and b (dropped) in the second shard; hostile pages in the first."""
    store = Store(str(tmp_path_factory.mktemp("document") / "store"))
    record = RunRecord("corpus", {})
    hostile: list[dict[str, Any]] = [
        {"id": f"evil-{n}", "url": f"javascript:alert({n})//\u202e<b>"} for n in range(len(HOSTILE_TEXTS))
    ]
    pages: list[dict[str, Any]] = [
        {"id": "page-a", "url": "https://a.example/1"},
        {"id": "page-b", "url": "https://b.example/2"},
        {"id": None, "url": "x"},
    ]
    texts = [one | {"text": f"kept\n{text}\n"} for one, text in zip(hostile, HOSTILE_TEXTS, strict=True)]
    later = [one | {"text": f"kept\n{text[3:]} <i>\n", "reason": text} for one, text in zip(hostile, HOSTILE_TEXTS, strict=True)]
    verdict = {
        "reason": "too_few_sentences",
        "reason_value": 2.0,
        "reason_threshold": 5.0,
        "reason_detail": "counted as <c4> does",
    }
    a, b, unnamed = pages
    made = {
        "records": shards(
            store, record, "records", RECORDS | VERDICT, [[one | PLACE for one in hostile], [a | PLACE, b | LINE, unnamed]]
        ),
        "extract": shards(
            store, record, "extract", EXTRACT, [texts, [a | {"text": BEFORE, "html_bytes": 4711}, b | {"text": "Two. Lines."}]]
        ),
        "c4": shards(
            store,
            record,
            "c4",
            C4,
            [later, [unnamed, a | {"text": AFTER, "token": b"\x00" * 77}, b | {"text": "Two. Lines."} | verdict]],
        ),
        "corpus": shards(store, record, "corpus", EXTRACT, [hostile, [a | {"text": AFTER}]]),
    }
    record.finish(store, "completed")
    return store, record, made


@pytest.fixture
def viewer(run: tuple[Store, RunRecord, dict[str, Snapshot]]) -> TestClient:
    return client(run[0].url)


def way(viewer: TestClient, **asked: str) -> str:
    answer = viewer.get("/document?" + urlencode(asked))
    assert answer.status_code == 200, answer.text
    return re.sub(r"\d+ (ms|s|min) ago", "now", re.sub(r"\s+", " ", answer.text))


def test_a_page_says_where_its_original_lies(viewer: TestClient, run: Any) -> None:
    assert "‹U+202E›" in way(viewer, id="page-a")
    assert re.search(
        r"&lt;b&gt;crawl&lt;/b&gt;/<span[^>]*>‹U\+202E›</span>1\.warc\.gz</bdi>, from byte 123,456 on, 7,890 bytes as compressed there, "
        r"55 to pass over once unpacked\.",
        way(viewer, id="page-a"),
    )
    assert "ready.jsonl.gz</bdi>, place 17, column body." in way(viewer, id="page-b")


def test_the_way_of_a_kept_page_shows_what_changed_in_its_text(viewer: TestClient, run: Any) -> None:
    html = way(viewer, run=run[1].id, id="page-a")
    assert [html.index(f">{stage}</a>") for stage in ("records", "extract", "c4", "corpus")] == sorted(
        html.index(f">{stage}</a>") for stage in ("records", "extract", "c4", "corpus")
    )
    assert "in the corpus" in html
    assert "html_bytes <b>4,711</b>" in html
    assert "<del>A headline </del>" in html
    assert "<del>ann@mail.example </del><ins>ann@hidden.example </ins>today." in html
    assert "lines as before" in html
    assert "token <b>77 bytes</b>" in html


def test_the_way_of_a_dropped_page_says_where_why_and_by_how_much(viewer: TestClient, run: Any) -> None:
    html = way(viewer, id="page-b")
    assert "dropped by c4: <b>too_few_sentences</b>, measured 2, threshold 5" in html
    assert "counted as &lt;c4&gt; does" in html
    assert "text unchanged" in html
    assert "Not seen by: corpus" in html
    link = re.search(r'href="([^"]+)">c4</a>', html)
    assert link
    assert "page-b" in viewer.get(link[1]).text


def test_a_page_is_found_by_url_and_by_a_part_of_either(viewer: TestClient, run: Any) -> None:
    expected = way(viewer, id="page-b")
    assert way(viewer, url="https://b.example/2") == expected
    assert way(viewer, page="b.example") == expected
    assert way(viewer, page="page-b", run=run[1].id) == expected
    several = way(viewer, page="example/")
    assert "https://a.example/1" in several
    assert "https://b.example/2" in several


def test_every_row_with_an_id_leads_to_its_page(viewer: TestClient, run: Any) -> None:
    c4 = run[2]["c4"]
    html = viewer.get(at(c4)).text
    assert html.count(">follow</a>") == c4.rows - 1, "one row has no id"
    for path in (at(c4), at(c4, f"/row?number={len(HOSTILE_TEXTS) + 2}")):
        links = re.findall(r'href="(/document\?of=[^"]+)"', viewer.get(path).text)
        assert "page-b" in str(viewer.get(links[-1].replace("&amp;", "&")).url)
    assert "/document?of=" not in viewer.get(at(c4, f"/row?number={len(HOSTILE_TEXTS)}")).text


def test_hostile_pages_are_text(viewer: TestClient, run: Any) -> None:
    for n, text in enumerate(HOSTILE_TEXTS):
        for html in (way(viewer, id=f"evil-{n}"), viewer.get("/document?" + urlencode({"page": text})).text):
            links = Links(html)
            assert links.scripts == ["/static/keyboard.js"]
            assert all(found.startswith(("/", "#")) and not found.startswith("//") for found in links.found)
            assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\u200b]", links.text)
    listed = way(viewer, page="javascript:")
    assert "‹U+202E›</span>&lt;b&gt;" in listed
    Links(listed)


def test_a_page_for_programs_has_what_a_person_sees(viewer: TestClient, run: Any) -> None:
    document = viewer.get("/document?id=page-b&format=json").json()
    assert (document["id"], document["url"], document["run"]) == ("page-b", "https://b.example/2", run[1].id)
    assert [step["stage"] for step in document["steps"]] == ["records", "extract", "c4"]
    assert document["steps"][2] == {
        "stage": "c4",
        "artifact": run[2]["c4"].reference,
        "kept": False,
        "reason": "too_few_sentences",
        "reason_value": 2.0,
        "reason_threshold": 5.0,
        "reason_detail": "counted as <c4> does",
        "signals": {"sentences": None, "token": None},
        "text": "Two. Lines.",
    }


@pytest.mark.parametrize(
    ("asked", "status", "says"),
    [
        ("id=nosuch", 404, "has the id or URL &#39;nosuch&#39;"),
        ("page=nosuch", 404, "No page of run"),
        ("id=page-a&shard=o0", 404, "has the id or URL"),
        ("run=nosuch&id=page-a", 404, "no run &#39;nosuch&#39;"),
        ("run=../../x&id=page-a", 404, "no run"),
        ("of=../x&row=1", 400, "expected stage/key@snapshot"),
        ("of=c4/0123456789ab@000000000000&row=1", 400, "no snapshot 000000000000"),
        ("of={c4}&row=99999", 400, "whole number from 0 to"),
        ("of={c4}&row=7", 400, "has no id"),
        ("id=page-a&format=xml", 400, "comes as json"),
        ("idd=page-a", 400, "unknown parameter"),
    ],
)
def test_what_cannot_be_followed_is_named(viewer: TestClient, run: Any, asked: str, status: int, says: str) -> None:
    answer = viewer.get("/document?" + asked.format(c4=quote(run[2]["c4"].reference)))
    assert (answer.status_code, says in answer.text) == (status, True), answer.text[-900:]


def test_a_damaged_or_missing_shard_is_named(tmp_path: Path) -> None:
    store, record = Store(str(tmp_path)), RunRecord("corpus", {})
    shards(store, record, "records", PAGE | VERDICT, [[{"id": "page-a", "url": "https://a.example"}]])
    snapshot = shards(store, record, "c4", C4, [[{"id": "page-a", "text": "x" * 50}]])
    record.finish(store, "completed")
    path = f"{snapshot.folder}/{snapshot.files[0].name}"
    data = store.read(path)
    damaged = bytearray(data)
    damaged[40] ^= 1
    store.write(path, bytes(damaged))
    answer = client(str(tmp_path)).get("/document?id=page-a")
    assert (answer.status_code, "winnow verify" in answer.text) == (400, True)
    store.remove(path)
    answer = client(str(tmp_path)).get("/document?id=page-a")
    assert (answer.status_code, "is gone although" in answer.text) == (400, True)
    store.write(path, data)
    assert client(str(tmp_path)).get("/document?id=page-a").status_code == 200


def test_a_store_without_runs_says_what_to_do(tmp_path: Path) -> None:
    assert client(str(tmp_path)).get("/document").status_code == 200
    assert "winnow demo" in client(str(tmp_path)).get("/document?id=x").text


def spelled(before: str, after: str) -> tuple[str, str]:
    """Both texts, put together again from the pieces; what is folded is taken from where it was."""
    old, new = "", ""
    for piece in difference(before, after):
        if piece.kind == "folded":
            rest = before[len(old) :].splitlines(keepends=True)[: piece.lines]
            assert rest == after[len(new) :].splitlines(keepends=True)[: piece.lines]
            old, new = old + "".join(rest), new + "".join(rest)
        else:
            old += "" if piece.kind == "new" else piece.text
            new += "" if piece.kind == "gone" else piece.text
    return old, new


@pytest.mark.parametrize("seed", range(60))
def test_a_difference_spells_both_texts(seed: int) -> None:
    chance = random.Random(seed)
    before = [
        "".join(chance.choice(["a ", "b ", "c", "  ", "d\r", "\u2028"]) for _ in range(chance.randrange(6))) + "\n"
        for _ in range(30)
    ]
    after = [line if chance.random() < 0.8 else line.replace("b", "x") for line in before if chance.random() < 0.9]
    assert spelled("".join(before), "".join(after)) == ("".join(before), "".join(after))


def test_a_difference_marks_words_not_lines() -> None:
    pieces = [(piece.kind, piece.text) for piece in difference("one two three\n", "one 2 three\n")]
    assert pieces == [("same", "one "), ("gone", "two "), ("new", "2 "), ("same", "three\n")]


@pytest.mark.parametrize("line", ["a\n", "a ", "a\nb\n", "a a b a c\n"])
def test_no_pair_of_texts_takes_long_to_compare(line: str) -> None:
    before = "".join(f"{line}{n if n % 3 else ''}" for n in range(12_000))
    after = "".join(f"{n if n % 2 else ''}{line}" for n in range(11_000))
    start = time.process_time()
    assert spelled(before, after)[0] == before
    assert time.process_time() - start < 5
