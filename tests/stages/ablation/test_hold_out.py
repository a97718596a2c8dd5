"""What is set aside before any filter, and what goes with it."""

import polars as pl
import pytest

from stages.ablation.hold_out import HOLD_OUT, HoldOutConfig
from stages.corpus.clusters import REMOVED

LONG = "word " * 100


def held(docs: pl.DataFrame, config: HoldOutConfig, *removed: tuple[int, str, str, int, bool]) -> pl.DataFrame:
    return HOLD_OUT.run(docs, config, {"removed": pl.DataFrame(list(removed), schema=REMOVED, orient="row")})


def documents(count: int, text: str = LONG) -> pl.DataFrame:
    return pl.DataFrame({"id": [f"page {number}" for number in range(count)], "text": [text] * count})


def test_about_the_share_is_held_out_and_another_seed_holds_out_others() -> None:
    docs = documents(4000)
    first, again, other = (held(docs, HoldOutConfig(share=0.1, seed=seed)) for seed in (0, 0, 1))
    assert first["reason"].eq_missing(again["reason"]).all()
    assert set(first["reason"].drop_nulls()) == {"held_out"}
    assert 340 < first["reason"].count() < 460
    assert not first["reason"].eq_missing(other["reason"]).all()


def test_a_document_is_drawn_whatever_else_there_is() -> None:
    few, many = held(documents(50), HoldOutConfig(share=0.5)), held(documents(500), HoldOutConfig(share=0.5))
    assert few["reason"].to_list() == many["reason"].to_list()[:50]


def test_near_copies_go_with_the_document_that_is_held_out_and_nowhere_else() -> None:
    docs = documents(400)
    pairs = [(row, f"page {row}", f"page {row - row % 2}", 2, row % 2 == 1) for row in range(400)]
    out = held(docs, HoldOutConfig(share=0.3), *pairs)
    reasons = out["reason"].to_list()
    assert set(zip(reasons[::2], reasons[1::2], strict=True)) == {("held_out", "near_copy"), (None, None)}


def test_short_texts_are_never_held_out() -> None:
    out = held(documents(200, "short"), HoldOutConfig(share=0.9, min_chars=200))
    assert out["reason"].null_count() == 200


def test_the_clusters_of_other_documents_are_refused() -> None:
    with pytest.raises(ValueError, match="whose ids are not those of the 3 documents"):
        held(documents(3), HoldOutConfig(), (0, "another page", "another page", 2, False))
