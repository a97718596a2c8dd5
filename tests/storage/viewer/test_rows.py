"""Rows: what a query returns is what the same question to the whole frame returns, whatever it costs."""

import re

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from storage.problem import Problem
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer import tables
from storage.viewer.filters import Filter, check, mask
from storage.viewer.rows import Query, read, row

from .conftest import ROWS, friendly, make_store

FRAME = friendly().with_row_index("number")


@pytest.mark.parametrize("page", [1, 2, 50, 51, 100])
def test_a_page_of_all_rows_holds_the_rows_of_its_place(store: Store, made: dict[str, Snapshot], page: int) -> None:
    result = read(store, Query(made["url"], page=page))
    assert result.numbers == list(range(50 * (page - 1), 50 * page))
    assert result.rows == friendly()[50 * (page - 1) : 50 * page].to_dicts()
    assert (result.total, result.pages) == (2 * ROWS, 100)


@pytest.mark.parametrize(
    ("filters", "expression"),
    [
        ([Filter("score", "lt", "0.02")], pl.col("score") < 0.02),
        ([Filter("score", "ge", "4.99")], pl.col("score") >= 4.99),
        ([Filter("score", "null")], pl.col("score").is_null()),
        ([Filter("words", "eq", "89"), Filter("flag", "eq", "true")], (pl.col("words") == 89) & pl.col("flag")),
        ([Filter("words", "gt", "88.5")], pl.col("words") > 88.5),
        ([Filter("id", "eq", "doc-4999")], pl.col("id") == "doc-4999"),
        ([Filter("text", "contains", "needle")], pl.col("text").str.contains("needle", literal=True)),
        ([Filter("text", "lacks", "Haystack")], ~pl.col("text").str.contains("Haystack", literal=True)),
        ([Filter("url", "starts", "https://host3.example/49")], pl.col("url").str.starts_with("https://host3.example/49")),
        ([Filter("text", "matches", r"number 7\d\d ")], pl.col("text").str.contains(r"number 7\d\d ")),
        ([Filter("reason", "null"), Filter("score", "le", "0.01")], pl.col("reason").is_null() & (pl.col("score") <= 0.01)),
        ([Filter("reason", "ne", "too_short")], pl.col("reason") != "too_short"),
        ([Filter("tags", "filled")], pl.col("tags").is_not_null()),
        ([Filter("tags", "contains", "77")], pl.col("tags").list.last().str.contains("77", literal=True)),
        ([Filter("tags", "lacks", "7")], ~pl.col("tags").list.last().str.contains("7", literal=True)),
        ([Filter("tags", "starts", "49")], pl.col("tags").list.last().str.starts_with("49")),
        ([Filter("tags", "matches", "^.?7$")], pl.col("tags").list.last().str.contains("^.?7$")),
    ],
)
def test_filters_find_what_the_same_condition_finds(
    store: Store, made: dict[str, Snapshot], filters: list[Filter], expression: pl.Expr
) -> None:
    expected = FRAME.filter(expression)["number"].to_list()
    query = Query(made["url"], filters=tuple(filters), size=500, seconds=30)
    result = read(store, query)
    assert result.numbers == expected[:500]
    assert result.matching == len(expected)
    assert [one["id"] for one in result.rows] == [f"doc-{number}" for number in expected[:500]]


def test_the_pages_of_a_scan_hold_every_match_once(store: Store, made: dict[str, Snapshot]) -> None:
    found: list[int] = []
    start: int | None = 0
    while start is not None:
        result = read(store, Query(made["url"], filters=(Filter("words", "lt", "9"),), start=start, size=41, seconds=30))
        found += result.numbers
        start = result.next_start
    assert found == FRAME.filter(pl.col("words") < 9)["number"].to_list()


def test_a_search_ignores_case_and_looks_in_every_text_column(store: Store, made: dict[str, Snapshot]) -> None:
    assert read(store, Query(made["url"], search="NEEDLE", seconds=30)).numbers == [1777]
    assert read(store, Query(made["url"], search="Doc-4321", seconds=30)).numbers == [4321]
    assert read(store, Query(made["url"], search=".*", seconds=30)).numbers == []


def test_a_conversation_is_searched_whole_and_its_null_lacks_nothing() -> None:
    call = pa.struct({"name": pa.string(), "tries": pa.int64()})
    kind = pa.list_(pa.struct({"role": pa.string(), "content": pa.string(), "calls": pa.list_(call)}))
    asked = {"role": "user", "content": "Where is Harwick?", "calls": None}
    called = {"role": "assistant", "content": None, "calls": [None, {"name": "look_up", "tries": 2}]}
    told = {"role": "assistant", "content": "In the north.", "calls": []}
    chats = pa.array([[asked], None, [], [asked, None, called], [told, asked]], kind)
    batch = pa.record_batch({"chat": chats, "tries": pa.array([1, 2, 3, 4, 5])})

    def found(*filters: Filter, search: str = "", skip: int = 0) -> list[int]:
        check(filters, search, batch.schema)
        return (np.flatnonzero(mask(batch.slice(skip), filters, search)) + skip).tolist()

    assert found(search="LOOK_UP") == [3]
    assert found(search="harwick", skip=2) == [3, 4]
    assert found(Filter("chat", "contains", "north")) == [4]
    assert found(Filter("chat", "lacks", "Harwick")) == [2]
    assert found(Filter("chat", "null")) == [1]
    with pytest.raises(Problem, match="which cannot be compared; ask what it contains, or whether it is null"):
        found(Filter("chat", "eq", "north"))
    with pytest.raises(Problem, match="no regular expression"):
        found(Filter("chat", "matches", "("))


def test_a_search_ignores_the_case_of_every_alphabet_and_bears_what_is_not_unicode() -> None:
    texts = pa.array([b"STRASSE", "STRAẞE ÄRGER".encode(), b"caf\xe9 Needle", None, b""], pa.binary()).view(pa.string())
    batch = pa.record_batch({"text": texts})
    for search, expected in (("strasse", [0]), ("ärger", [1]), ("nEEDLE", [2]), ("zebra", [])):
        assert np.flatnonzero(mask(batch, [], search)).tolist() == expected


def test_a_scan_without_time_says_how_far_it_looked_and_can_be_continued(store: Store, made: dict[str, Snapshot]) -> None:
    first = read(store, Query(made["url"], search="doc-4999", seconds=0))
    assert (first.numbers, first.full, first.scanned) == ([], False, ROWS)
    assert first.next_start == first.scanned
    assert read(store, Query(made["url"], search="doc-4999", start=ROWS, seconds=0)).numbers == [4999]


def test_a_count_goes_on_with_the_next_request(store: Store, made: dict[str, Snapshot]) -> None:
    query = Query(made["url"], filters=(Filter("words", "ge", "1"),), size=5, seconds=0)
    counted = [read(store, query).counted for _ in range(4)]
    assert counted == sorted(counted)
    assert counted[-1] == 2 * ROWS
    assert read(store, query).matching == FRAME.filter(pl.col("words") >= 1).height


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("page", [1, 3])
def test_an_order_is_that_of_the_whole_table_with_nulls_last(
    store: Store, made: dict[str, Snapshot], descending: bool, page: int
) -> None:
    result = read(store, Query(made["url"], sort="words", descending=descending, page=page, seconds=30))
    expected = FRAME.sort(["words", "number"], descending=[descending, False])["number"].to_list()
    assert result.numbers == expected[50 * (page - 1) : 50 * page]
    assert 5 not in read(store, Query(made["url"], sort="score", descending=descending, seconds=30)).numbers


def test_an_order_of_filtered_rows(store: Store, made: dict[str, Snapshot]) -> None:
    query = Query(made["url"], filters=(Filter("reason", "eq", "too_short"),), sort="score", descending=True, seconds=30)
    result = read(store, query)
    assert result.numbers[:3] == [4990, 4980, 4970]
    assert (result.matching, result.pages) == (500, 10)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"page": 0}, "no page 0; there are pages 1 to 100"),
        ({"page": 101}, "no page 101"),
        ({"sort": "nothing"}, "no column 'nothing'; there are: id, url"),
        ({"sort": "tags"}, "has no order"),
        ({"sort": "words", "page": 5000}, "turn the order round"),
        ({"start": -1, "search": "x"}, "cannot begin at row -1"),
        ({"filters": (Filter("words", "like", "1"),)}, "unknown operator 'like'; expected one of: eq"),
        ({"filters": (Filter("words", "lt", "many"),)}, "words < 'many': expected a value of the column's type, int64"),
        ({"filters": (Filter("flag", "eq", "maybe"),)}, "bool"),
        ({"filters": (Filter("words", "contains", "1"),)}, "asks for text, but 'words' is int64; use =, <, > or is null there"),
        ({"filters": (Filter("tags", "eq", "a"),)}, "cannot be compared; ask what it contains"),
        ({"filters": (Filter("text", "matches", "(unclosed"),)}, "no regular expression of RE2"),
        ({"filters": (Filter("text", "matches", "(?=look)"),)}, "no regular expression of RE2"),
        ({"table": "../recipe.json"}, "has no table '../recipe.json'; it has: the shards"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(
    store: Store, made: dict[str, Snapshot], given: dict[str, object], message: str
) -> None:
    with pytest.raises(Problem, match=re.escape(message)):
        read(store, Query(made["url"], **given))  # type: ignore[arg-type]


def test_a_column_with_a_point_in_its_name_is_a_column(store: Store, made: dict[str, Snapshot]) -> None:
    assert read(store, Query(made["c4"], filters=(Filter("a.b", "ge", "5"),), seconds=30)).numbers == [5, 6]


def test_each_parquet_file_of_a_whole_stage_is_a_table_and_numbered_ones_are_one(store: Store, made: dict[str, Snapshot]) -> None:
    assert [one.name for one in tables.tables(made["report"])] == ["one.parquet", "two.parquet", "walks"]
    assert read(store, Query(made["report"])).rows == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert row(store, made["report"], "two.parquet", 0) == {"name": "x"}
    assert read(store, Query(made["report"], "walks", sort="miles", descending=True)).numbers == [2, 1, 0]
    with pytest.raises(Problem, match="rows 0 to 0"):
        row(store, made["report"], "two.parquet", 1)


def test_huge_row_groups_are_read_a_piece_at_a_time(
    store: Store, made: dict[str, Snapshot], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "BATCH_BYTES", 2_000)
    numbers = [0, 1, 999, 1000, 2499, 2500, 4999]
    assert [one["id"] for one in tables.take(store, tables.table(made["url"], ""), numbers)] == [f"doc-{n}" for n in numbers]
    sizes = [batch.num_rows for _, batch in tables.batches(store, tables.table(made["url"], ""), ["text"])]
    assert max(sizes) < 100
    assert sum(sizes) == 2 * ROWS


@pytest.mark.parametrize("start", [0, 1, 999, 1000, 2499, 2500, 3777])
def test_a_scan_in_many_pieces_finds_every_match_in_order(
    store: Store, made: dict[str, Snapshot], monkeypatch: pytest.MonkeyPatch, start: int
) -> None:
    monkeypatch.setattr(tables, "BATCH_BYTES", 2_000)
    assert len(list(tables.pieces(store, tables.table(made["url"], ""), ["text"]))) == 6, "one for each row group"
    result = read(store, Query(made["url"], filters=(Filter("words", "eq", "7"),), start=start, size=500, seconds=30))
    assert result.numbers == [number for number in FRAME.filter(pl.col("words") == 7)["number"].to_list() if number >= start]


def test_a_store_behind_a_url_answers_the_same(store: Store, made: dict[str, Snapshot]) -> None:
    url = "memory://viewer-rows/store"
    there = make_store(url)
    for query in (
        {"page": 77},
        {"search": "needle"},
        {"filters": (Filter("score", "gt", "4.9"),)},
        {"sort": "score", "descending": True},
    ):
        here = read(store, Query(made["url"], seconds=30, **query))  # type: ignore[arg-type]
        assert read(Store(url), Query(there["url"], seconds=30, **query)).rows == here.rows  # type: ignore[arg-type]


def test_a_file_that_is_gone_cut_or_no_parquet_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("damaged")
    made = make_store(str(root))
    store = Store(str(root))
    path = root / "url" / made["url"].key / "crawl-p0001-00000001.parquet"
    data = path.read_bytes()
    for damage, message in ((data[:-9], "its snapshot says"), (b"x" * len(data), "cannot be read"), (None, "is gone although")):
        path.unlink()
        if damage is not None:
            path.write_bytes(damage)
        with pytest.raises(Problem, match=message):
            read(store, Query(made["url"], page=100))
        assert len(read(store, Query(made["url"])).rows) == 50


def test_a_search_that_found_nothing_goes_on_where_it_ended(store: Store, made: dict[str, Snapshot]) -> None:
    query = Query(made["url"], search="in no row at all", seconds=0)
    assert [(one.scanned, one.full) for one in (read(store, query) for _ in range(3))] == [
        (ROWS, False),
        (2 * ROWS, True),
        (2 * ROWS, True),
    ]
