import numpy as np
import polars as pl
import pytest

from stages.tokens.folded import fold
from stages.tokens.split import TRAIN, VALIDATION, split


def sides(texts: list[str], share: float = 0.5, clusters: list[str | None] | None = None) -> list[str]:
    return split(
        fold(pl.Series(texts)).texts, None if clusters is None else pl.Series(clusters, dtype=pl.String), share
    ).to_list()


def test_copies_that_differ_in_layout_case_or_punctuation_lie_on_one_side() -> None:
    texts = [f"Document number {n} says something of its own." for n in range(300)]
    edited = [text.upper().replace(" ", "\n").replace(".", "!") for text in texts]
    assert sides(texts) == sides(edited)
    assert set(sides(texts)) == {TRAIN, VALIDATION}


def test_the_side_depends_on_nothing_but_the_text() -> None:
    texts = [f"text {n}" for n in range(100)]
    assert sides(texts[::-1])[::-1] == sides(texts) == [sides([text])[0] for text in texts]


@pytest.mark.parametrize("share", [0.0, 0.005, 0.1, 0.5])
def test_the_share_is_met(share: float) -> None:
    held_out = np.array(sides([f"text {n}" for n in range(40_000)], share)) == VALIDATION
    assert abs(held_out.mean() - share) <= 3 * (share * (1 - share) / 40_000) ** 0.5


def test_a_larger_share_keeps_what_a_smaller_one_held_out() -> None:
    texts = [f"text {n}" for n in range(2_000)]
    small, large = (np.array(sides(texts, share)) == VALIDATION for share in (0.05, 0.2))
    assert small.sum() < large.sum()
    assert (small <= large).all()


def test_all_documents_of_a_cluster_go_one_way_and_others_by_their_text() -> None:
    texts = [f"text {n}" for n in range(400)]
    clusters = [f"cluster {n % 20}" if n < 200 else None for n in range(400)]
    found = sides(texts, clusters=clusters)
    assert all(len(set(found[n:200:20])) == 1 for n in range(20))
    assert len(set(found[:200])) == 2
    assert found[200:] == sides(texts)[200:]
