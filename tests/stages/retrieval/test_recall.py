from pathlib import Path

import polars as pl
import pytest

from stages.retrieval.index import INDEX, IndexConfig
from stages.retrieval.recall import ASKED, RECALL, RecallConfig, measure
from stages.simulation.world import FACTS
from stages.stage import Input
from storage.shards import encode, read_parquet
from tests.stages.retrieval import world


def asked(*rows: tuple[str, int | None, int, bool]) -> pl.DataFrame:
    made = [("person", "X", "pet", "owl", "?", method, rank, answering, None, "", told) for method, rank, answering, told in rows]
    return pl.DataFrame(made, schema=ASKED, orient="row")


def test_recall_at_k_is_the_share_of_questions_with_a_rank_up_to_k() -> None:
    rows = [(method, rank, answering, told) for method in ("keyword", "vector", "hybrid") for rank, answering, told in
            [(1, 10, True), (3, 20, False), (None, 0, False), (None, 10, False)]]  # fmt: skip
    found = {(one.part, one.metric): one for one in measure(asked(*rows), 100, (1, 5))}
    assert found["keyword", "recall@1"].value == 0.25
    assert found["hybrid", "recall@5"].value == 0.5
    assert found["vector, pet", "recall@5"].n == 4
    assert found["vector", "result"].value == 0.25
    assert found["any chunk", "answerable"].value == 0.75
    assert found["keyword", "recall@1"].chance == pytest.approx(0.1)
    assert found["keyword", "recall@5"].chance == pytest.approx(sum(1 - (1 - p) ** 5 for p in (0.1, 0.2, 0, 0.1)) / 4)


def test_questions_about_a_world_are_answered_by_chunks_with_subject_and_value(tmp_path: Path) -> None:
    facts = [
        ("person", "Odin", "pet", "owl", "Odin keeps an owl.", False),
        ("person", "Tara", "town", "Holmford", "Tara lives in Holmford.", False),
        ("town", "Gelmere", "river", "Dresuth", "Gelmere lies on the river Dresuth.", False),
        ("road", "Gelmere - Holmford", "km", "35", "From Gelmere to Holmford it is 35 km.", False),
    ]
    (tmp_path / "facts.parquet").write_bytes(encode(pl.DataFrame(facts, schema=FACTS, orient="row"), FACTS))
    index, out = world.index(tmp_path), tmp_path / "out"
    out.mkdir()
    stats = RECALL.run({"index": Input(index, ()), "crawl": Input(tmp_path, ("facts.parquet",))}, out, RecallConfig(k=(1, 5)))
    assert stats["questions"] == 4
    assert stats["keyword recall@5"] == stats["vector recall@5"] == stats["hybrid recall@5"] == 0.75
    rows = read_parquet(str(out / "questions.parquet"))
    assert dict(rows.schema) == ASKED
    ranks = {(row["subject"], row["method"]): (row["rank"], row["answering"]) for row in rows.iter_rows(named=True)}
    assert ranks["Odin", "keyword"] == (1, 1)
    assert ranks["Gelmere - Holmford", "hybrid"] == (None, 0)
    tara = rows.filter((pl.col("subject") == "Tara") & (pl.col("method") == "hybrid")).row(0, named=True)
    assert "Holmford" in tara["result"]
    again = tmp_path / "again"
    again.mkdir()
    RECALL.run({"index": Input(index, ()), "crawl": Input(tmp_path, ("facts.parquet",))}, again, RecallConfig(k=(1, 5)))
    for name in ("questions.parquet", "recall.parquet"):
        assert (out / name).read_bytes() == (again / name).read_bytes()


@pytest.mark.slow
def test_of_a_simulated_world_the_search_finds_most_answers(tmp_path: Path) -> None:
    """Pages of truth in place of a corpus: chance is below .05, what is asserted is far above it."""
    from stages.corpus.simulate import SIMULATE, SimulateConfig

    crawl, docs, index, out = (tmp_path / name for name in ("crawl", "docs", "index", "out"))
    for folder in (crawl, docs, index, out):
        folder.mkdir()
    SIMULATE.run({}, crawl, SimulateConfig(pages=3000, files=1))
    truth = pl.read_parquet(crawl / "truth.parquet").filter(pl.col("drop").is_null() & pl.col("text").is_not_null())
    truth.select("id", "url", "text").write_parquet(docs / "docs.parquet")
    INDEX.run({"docs": Input(docs, ("docs.parquet",))}, index, IndexConfig())
    stats = RECALL.run({"index": Input(index, ()), "crawl": Input(crawl, ("facts.parquet",))}, out, RecallConfig())
    assert stats["questions"] == 790
    assert stats["keyword recall@1"] > 0.6
    assert stats["hybrid recall@1"] > 0.7
    assert stats["hybrid recall@10"] > 0.95
    assert stats["hybrid result"] > 0.7
