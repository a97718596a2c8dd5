"""Two snapshots side by side: what was set, what came of it, and the documents whose fate changed."""

import json
import re
from pathlib import Path
from urllib.parse import quote, urlencode

import polars as pl
import pytest
from fastapi.testclient import TestClient

from storage.recipe import Recipe
from storage.shards import File, write_shard
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer import compare

from .conftest import COLUMNS, HOSTILE_TEXTS, client, friendly


def make(store: Store, stage: str, config: dict[str, object], shards: dict[str, pl.DataFrame]) -> Snapshot:
    """A snapshot whose shards have these origins."""
    recipe = Recipe(stage, 1, config, {"docs": "records/0123456789ab"})
    store.write(f"{stage}/{recipe.key}/recipe.json", json.dumps(recipe.document()).encode())
    files: list[File] = []
    for origin, rows in shards.items():
        columns = {name: kind for name, kind in COLUMNS.items() if name in rows.columns}
        files.append(write_shard(store, f"{stage}/{recipe.key}", f"{origin}-p0000-00000000.parquet", rows, columns, origin))
    snapshot = Snapshot.of(stage, recipe.key, files)
    snapshot.seal(store)
    return snapshot


def with_reason(rows: pl.DataFrame, condition: pl.Expr, reason: str | None) -> pl.DataFrame:
    return rows.with_columns(reason=pl.when(condition).then(pl.lit(reason, pl.String)).otherwise(pl.col("reason")))


@pytest.fixture
def two(tmp_path: Path) -> tuple[Store, Snapshot, Snapshot]:
    """Shard x is equal; in y three rows are no longer dropped, two are dropped anew, one changes its reason; z and w are alone."""
    store = Store(str(tmp_path / "store"))
    rows = friendly()
    x, y, z = rows[:100], rows[100:200], rows[200:250]
    changed = with_reason(y, pl.col("id").is_in(["doc-100", "doc-110", "doc-120"]), None)
    changed = with_reason(changed, pl.col("id").is_in(["doc-101", "doc-102"]), "too_long")
    changed = with_reason(changed, pl.col("id") == "doc-130", "too_long")
    a = make(store, "c4", {"least": 5, "words": {"most": 9, "language": "en"}}, {"x": x, "y": y, "z": z})
    b = make(store, "c4", {"least": 3, "words": {"most": 9, "language": "de"}}, {"w": z, "x": x, "y": changed})
    return store, a, b


def test_settings_differ_field_by_field() -> None:
    differing, equal = compare.settings({"a": 1, "b": {"c": 2, "d": 3}, "e": 0}, {"a": 1, "b": {"c": 2, "d": 4}, "f": None})
    assert differing == [("b.d", 3, 4), ("e", 0, None)]
    assert equal == 3


def test_the_page_says_what_it_leaves_out(two: tuple[Store, Snapshot, Snapshot]) -> None:
    store, a, b = two
    text = re.sub(r"\s+", " ", client(store.url).get("/compare?" + urlencode({"a": a.reference, "b": b.reference})).text)
    assert "Left out: the 50 rows of 1 file that only a has; the 50 rows of 1 file that only b has; pages that both drop" in text


def test_shards_match_by_origin(two: tuple[Store, Snapshot, Snapshot]) -> None:
    _, a, b = two
    found = compare.shards(a, b)
    assert [one.origin for one, _ in found.equal] == ["x"]
    assert [one.origin for one, _ in found.changed] == ["y"]
    assert [file.origin for file in found.only_a] == ["z"]
    assert [file.origin for file in found.only_b] == ["w"]


def test_documents_whose_fate_changed_come_with_both_reasons(two: tuple[Store, Snapshot, Snapshot]) -> None:
    store, a, b = two
    page = compare.documents(store, a, b, (0, 0), 50, 10)
    assert page is not None
    assert {one.id: one.fates for one in page.found} == {
        "doc-100": ("too_short", "kept"),
        "doc-110": ("too_short", "kept"),
        "doc-120": ("too_short", "kept"),
        "doc-101": ("kept", "too_long"),
        "doc-102": ("kept", "too_long"),
    }
    assert page.changes == {("too_short", "kept"): 3, ("kept", "too_long"): 2}
    assert (page.looked, page.pairs, page.rows, page.next) == (1, 1, 200, None)
    [first] = [one for one in page.found if one.id == "doc-101"]
    assert first.url == "https://host3.example/101"
    assert first.rows == (101, 151), "row numbers run through all shards of each snapshot: w is before x in b"


def test_pages_go_on_where_the_last_one_ended(two: tuple[Store, Snapshot, Snapshot]) -> None:
    store, a, b = two
    seen: list[str] = []
    start: tuple[int, int] | None = (0, 0)
    pages = 0
    while start is not None:
        page = compare.documents(store, a, b, start, 2, 10)
        assert page is not None
        seen += [one.id for one in page.found]
        start = page.next
        pages += 1
    assert pages == 3
    assert sorted(seen) == ["doc-100", "doc-101", "doc-102", "doc-110", "doc-120"]


def test_looking_ends_when_time_is_over_and_says_how_far_it_came(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    parts = {f"s{n}": friendly()[n * 10 : n * 10 + 10] for n in range(4)}
    a = make(store, "c4", {"least": 5}, parts)
    b = make(store, "c4", {"least": 3}, {name: with_reason(rows, pl.lit(True), None) for name, rows in parts.items()})
    page = compare.documents(store, a, b, (0, 0), 50, 0)
    assert page is not None
    assert (page.looked, page.pairs, page.next, len(page.found)) == (1, 4, (1, 0), 1)
    html = client(str(tmp_path)).get("/compare?" + urlencode({"a": a.reference, "b": b.reference})).text
    assert "Looked at 4 of 4 pairs" in html


def test_a_later_stage_has_the_documents_that_are_left(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    rows = friendly()[:20]
    a = make(store, "c4", {}, {"x": rows})
    b = make(
        store, "pii", {}, {"x": rows.filter(pl.col("reason").is_null() & (pl.col("id") != "doc-7")).select("id", "url", "text")}
    )
    page = compare.documents(store, a, b, (0, 0), 50, 10)
    assert page is not None
    assert [(one.id, one.fates, one.rows) for one in page.found] == [("doc-7", ("kept", "not there"), (7, None))]


def test_the_page_says_it_all(two: tuple[Store, Snapshot, Snapshot]) -> None:
    store, a, b = two
    html = client(store.url).get("/compare?" + urlencode({"a": a.reference, "b": b.reference})).text
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))
    assert "least 5 3" in text
    assert "words.language en de" in text
    assert "kept 225 226 +1" in text
    assert "too_long 0 3 +3" in text
    assert "too_short 25 21 -4" in text
    assert "equal 1 100" in text
    assert "changed 1 100 : 100" in text
    assert "only in a 1 50" in text
    assert f'href="/{a.reference}/row?number=101"' in html
    browser = client(store.url)
    assert "doc-101" in browser.get(f"/{a.reference}/row?number=101").text
    assert "doc-101" in browser.get(f"/{b.reference}/row?number=151").text


def test_one_is_chosen_among_the_snapshots_of_the_stage(two: tuple[Store, Snapshot, Snapshot]) -> None:
    store, a, b = two
    browser = client(store.url)
    led = browser.get(f"/{a.reference}/compare", follow_redirects=False)
    assert (led.status_code, led.headers["location"]) == (302, "/compare?" + urlencode({"a": a.reference}))
    html = browser.get(led.headers["location"]).text
    assert re.findall(r'<option value="([^"]+)"', html) == [b.reference]
    both = re.findall(r'<option value="([^"]+)"', browser.get("/compare").text)
    assert sorted(both) == sorted([a.reference, b.reference] * 2)
    assert "nothing to compare" in client(store.url + "-none").get("/compare").text


def test_files_of_a_whole_stage_are_compared_by_name(browser: TestClient, made: dict[str, Snapshot]) -> None:
    answer = browser.get("/compare?" + urlencode({"a": made["report"].reference, "b": made["c4"].reference}))
    assert answer.status_code == 200
    assert "no shard of one source differs" in answer.text
    same = browser.get("/compare?" + urlencode({"a": made["url"].reference, "b": "url"})).text
    assert "one and the same snapshot" in same


def test_hostile_settings_reasons_and_ids_are_text(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    rows = friendly()[: len(HOSTILE_TEXTS)].with_columns(id=pl.Series(HOSTILE_TEXTS), url=pl.Series(HOSTILE_TEXTS))
    a = make(store, "c4", {HOSTILE_TEXTS[0]: HOSTILE_TEXTS[1]}, {"x": rows})
    b = make(store, "c4", {}, {"x": rows.with_columns(reason=pl.Series(HOSTILE_TEXTS))})
    html = client(str(tmp_path)).get("/compare?" + urlencode({"a": a.reference, "b": b.reference})).text
    assert "&lt;script&gt;" in html
    for wrong in ("<script>fetch", "<img src=x", "<svg onload", "\u202e", "\x1b"):
        assert wrong not in html


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("a=nosuch", "no artifact"),
        ("a=url&b=nosuch", "no artifact"),
        ("a=url&b=..%2F..%2Fetc%2Fpasswd", "no artifact"),
        ("a=url&b=c4&from=x", "such as 3.50"),
        ("a=url&b=c4&seconds=999", "from 1 to 60"),
        ("c=1", "unknown parameter"),
        ("a=" + quote(HOSTILE_TEXTS[0]), "no artifact"),
    ],
)
def test_what_is_refused_is_named(browser: TestClient, made: dict[str, Snapshot], query: str, says: str) -> None:
    answer = browser.get(f"/compare?{query}")
    assert answer.status_code == 400
    assert says in answer.text
    assert "<script>fetch" not in answer.text
