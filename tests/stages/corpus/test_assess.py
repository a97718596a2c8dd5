from pathlib import Path
from typing import Any

import polars as pl
import pytest

from stages.corpus.assess import ASSESS, REPORT, AssessConfig
from stages.simulation.truth import TRUTH
from stages.stage import Input

PAGES: list[dict[str, Any]] = [
    {"id": "good", "text": "one two three four"},
    {"id": "mail", "text": "write to a@b.example or x at y", "emails": ["a@b.example"], "ips": ["8.8.4.4"], "decoys": ["x at y"]},
    {"id": "bad1", "text": "junk", "drop": "c4", "rule": "curly_bracket"},
    {"id": "bad2", "text": "junk", "drop": "c4", "rule": "lorem_ipsum"},
    {"id": "later", "text": "junk", "drop": "fineweb", "rule": "list_ratio"},
    {"id": "first", "text": "copy", "cluster": 0},
    {"id": "second", "text": "copy", "cluster": 0, "drop": "dedup", "rule": "exact"},
    {"id": "third", "text": "copy", "cluster": 0, "drop": "dedup", "rule": "near"},
    {"id": "image", "drop": "records", "rule": "mime"},
]
EMPTY: dict[str, Any] = {"url": "http://a.example/", "kind": "news", "language": "en", "emails": [], "ips": [], "decoys": []}


def artifact(folder: Path, *rows: tuple[str | None, ...], columns: tuple[str, ...] = ("id", "reason", "text")) -> Input:
    folder.mkdir(parents=True)
    schema = dict.fromkeys(columns, pl.String())
    half = len(rows) // 2
    for number, part in enumerate((rows[:half], rows[half:])):
        frame = pl.DataFrame([row[: len(columns)] for row in part], schema=schema, orient="row")
        frame.write_parquet(folder / f"part-{number}.parquet")
    return Input(folder, ("part-0.parquet", "part-1.parquet"))


def crawl(folder: Path) -> Input:
    rows = [dict.fromkeys(TRUTH) | EMPTY | page for page in PAGES]
    folder.mkdir()
    pl.DataFrame(rows, schema=TRUTH).write_parquet(folder / "truth.parquet")
    return Input(folder, ("crawl-00000.warc.gz", "truth.parquet"))


def assess(folder: Path, **inputs: Input) -> dict[str, tuple[Any, ...]]:
    """The report's row of each stage, without the name."""
    out = folder / "out"
    out.mkdir()
    ASSESS.run({"crawl": crawl(folder / "crawl"), **inputs}, out, AssessConfig())
    report = pl.read_parquet(out / "report.parquet")
    assert dict(report.schema) == REPORT
    return {row[0]: row[1:] for row in report.iter_rows()}


def test_a_filter_is_asked_about_the_pages_that_arrived(tmp_path: Path) -> None:
    c4 = artifact(tmp_path / "c4", ("good", "few", None), ("mail", None, None), ("bad1", "curly", None), ("later", "curly", None))
    seen, meant, dropped, hits, precision, recall, f1 = assess(tmp_path, c4=c4)["c4"]
    assert (seen, meant, dropped, hits) == (4, 1, 3, 1)  # bad2 never arrived
    assert (precision, recall) == (pytest.approx(2 / 3), 1.0)  # `later` ought to go anyhow, `good` ought not
    assert f1 == pytest.approx(0.8)


def test_a_copy_that_an_earlier_filter_drops_was_a_good_page(tmp_path: Path) -> None:
    c4 = artifact(tmp_path / "c4", ("second", "few", None), ("bad1", "curly", None))
    assert assess(tmp_path, c4=c4)["c4"][4] == 0.5


@pytest.mark.parametrize(
    ("dropped", "hits", "precision", "recall"),
    [
        ({"second", "third"}, 2, 1.0, 1.0),
        ({"first", "second"}, 2, 1.0, 1.0),  # which copy stays is all the same
        ({"first"}, 1, 1.0, 0.5),
        ({"first", "second", "third"}, 2, 2 / 3, 1.0),  # one ought to stay
        ({"second", "third", "good"}, 2, 2 / 3, 1.0),
        (set(), 0, None, 0.0),
    ],
)
def test_of_a_cluster_one_is_to_stay(
    tmp_path: Path, dropped: set[str], hits: int, precision: float | None, recall: float
) -> None:
    rows = [(name, "duplicate" if name in dropped else None, "copy") for name in ("good", "first", "second", "third")]
    row = assess(tmp_path, dedup=artifact(tmp_path / "dedup", *rows))["dedup"]
    assert row[:4] == (4, 2, len(dropped), hits)
    assert row[4] == (None if precision is None else pytest.approx(precision))
    assert row[5] == recall


def test_records_that_give_no_row_count_as_dropped(tmp_path: Path) -> None:
    rows = [(page["id"], None, None) for page in PAGES if page["id"] != "image"]
    assert assess(tmp_path, records=artifact(tmp_path / "records", *rows))["records"] == (9, 1, 1, 1, 1.0, 1.0, 1.0)


def test_extraction_is_compared_word_by_word(tmp_path: Path) -> None:
    texts = {"good": "two three menu", "mail": "write to a@b.example or x at y", "later": None}
    rows = [(page["id"], None, texts.get(page["id"], page.get("text"))) for page in PAGES if page["id"] != "image"]
    row = assess(tmp_path, extract=artifact(tmp_path / "extract", *rows))["extract"]
    assert row[:4] == (8, 0, 0, None)
    assert row[4] == pytest.approx((6 + 2 / 3 + 0) / 8)
    assert row[5] == pytest.approx((6 + 2 / 4 + 0) / 8)
    assert row[6] == pytest.approx((6 + 4 / 7 + 0) / 8)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("write to email@example.com or x at y", (2, 1, 1, 1, 1.0, 1.0, 1.0)),
        ("write to a@b.example or x at y", (2, 1, 0, 0, None, 0.0, None)),
        ("write to email@example.com or ...", (2, 1, 2, 1, 0.5, 1.0, pytest.approx(2 / 3))),
    ],
)
def test_personal_data_counts_where_the_text_still_had_it(tmp_path: Path, after: str, expected: tuple[Any, ...]) -> None:
    before = "write to a@b.example or x at y"  # the IP address was lost on the way: nobody's fault here
    dedup = artifact(tmp_path / "dedup", ("mail", None, before), ("first", "duplicate", "copy"))
    pii = artifact(tmp_path / "pii", ("mail", None, after))
    assert assess(tmp_path, dedup=dedup, pii=pii)["pii"] == expected


def test_the_corpus_is_judged_as_the_whole_flow(tmp_path: Path) -> None:
    corpus = artifact(tmp_path / "corpus", ("good", None), ("third", None), ("later", None), columns=("id", "text"))
    seen, meant, dropped, hits, precision, recall, _ = assess(tmp_path, corpus=corpus)["corpus"]
    assert (seen, meant, dropped, hits) == (9, 6, 6, 5)
    assert (precision, recall) == (pytest.approx(5 / 6), pytest.approx(5 / 6))


def test_the_readable_report_names_the_pages_to_look_at(tmp_path: Path) -> None:
    assess(tmp_path, c4=artifact(tmp_path / "c4", ("good", "few", None), ("bad1", "curly", None), ("bad2", None, None)))
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "| c4 | 3 | 2 | 2 | 1 | 0.500 | 0.500 | 0.500 |" in text
    assert "dropped by `few`, though a good page (news): `good`" in text
    assert "missed, though planted to break `lorem_ipsum` (news): `bad2`" in text
    assert "| c4 | curly_bracket | 1 | 1 |" in text


def test_a_crawl_without_truth_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"found a\.warc\.gz in the crawl; expected truth\.parquet"):
        ASSESS.run({"crawl": Input(tmp_path, ("a.warc.gz",))}, tmp_path, AssessConfig())
