from collections import Counter

import numpy as np
import pytest

from stages.extraction.scores import Score, interval, score, words
from stages.extraction.selection import HIGHEST, LOWEST, best_threshold


@pytest.mark.parametrize(
    ("text", "gold", "expected"),
    [
        ("a b c d", "a b c d", (1, 1, 1)),
        ("A, b! (c)", "a b c", (1, 1, 1)),
        ("a b", "a b c d", (1, 1 / 2, 2 / 3)),
        ("a b c d", "a", (1 / 4, 1, 2 / 5)),
        ("a a a", "a", (1 / 3, 1, 1 / 2)),
        ("a a b", "a b b", (2 / 3, 2 / 3, 2 / 3)),
        ("a", "b", (0, 0, 0)),
        ("", "", (1, 1, 1)),
        ("...", " ", (1, 1, 1)),
        ("a", "", (0, 0, 0)),
        ("", "a", (0, 0, 0)),
    ],
)
def test_a_text_is_scored_by_the_words_that_it_shares_with_the_gold(text: str, gold: str, expected: Score) -> None:
    assert score(text, gold) == pytest.approx(expected)


def test_words_are_counted_in_small_letters() -> None:
    assert words("One one's ΚΑΛΗ 日本") == Counter({"one": 2, "s": 1, "καλη": 1, "日本": 1})


def test_the_interval_holds_the_mean_and_narrows_with_more_pages() -> None:
    few, many = ([0.0, 0.1] * n for n in (10, 1_000))
    (low, high), (lower, higher) = interval(few), interval(many)
    assert low < 0.05 < high
    assert low < lower < 0.05 < higher < high
    assert interval(few) == (low, high)
    assert interval([0.2] * 5) == pytest.approx((0.2, 0.2))


def best_by_trying(p: list[float], n: list[int]) -> float:
    expected = sum(a * b for a, b in zip(p, n, strict=True))
    tried = [0.0]
    for threshold in p:
        kept = [(a, b) for a, b in zip(p, n, strict=True) if a >= threshold]
        tried.append(2 * sum(a * b for a, b in kept) / (sum(b for _, b in kept) + expected))
    return max(tried)


@pytest.mark.parametrize(
    ("p", "n", "threshold"),
    [
        ([1.0, 0.0], [10, 10], HIGHEST),
        ([0.5, 0.4, 0.01], [10, 10, 10], 0.4),
        ([0.05, 0.01], [10, 10], LOWEST),
        ([0.9, 0.55, 0.3, 0.1], [100, 50, 50, 400], 0.55),
    ],
)
def test_the_threshold_is_where_the_expected_f1_is_highest(p: list[float], n: list[int], threshold: float) -> None:
    found, expected_f1 = best_threshold(np.array(p, np.float32), np.array(n, np.int32))
    assert found == pytest.approx(threshold)
    assert expected_f1 == pytest.approx(best_by_trying(p, n), abs=1e-6)
