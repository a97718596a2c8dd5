"""Agreement between annotators, by hand."""

import pytest

from stages.alignment.agreement import Judgement, agreements, kappa


def test_kappa_is_agreement_beyond_chance() -> None:
    # Cohen 1960: 20 and 15 of 50 alike, habits of .6 and .5 for the first class: observed .7, expected .5.
    one = [1] * 20 + [1] * 5 + [0] * 10 + [0] * 15
    other = [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15
    assert kappa(one, other) == pytest.approx(0.4)
    assert kappa([1, 0, -1, 1], [1, 0, -1, 1]) == pytest.approx(1.0)
    assert kappa([1, 0, 1, 0], [0, 1, 0, 1]) == pytest.approx(-1.0)
    assert kappa([1, 1], [1, 1]) is None


def test_orders_are_compared_pair_by_pair_and_the_last_judgement_counts() -> None:
    given = [
        Judgement("a", "Ann", (1, 2, 3)),
        Judgement("a", "Bob", (3, 2, 1)),
        Judgement("a", "Bob", (1, 3, 2)),
        Judgement("b", "Ann", (1, 1)),
        Judgement("b", "Bob", (1, 1)),
        Judgement("c", "Ann", (2, 1)),
        Judgement("d", "Cid", (2, 1)),
    ]
    (found,) = agreements(given)
    assert (found.one, found.other, found.items, found.pairs) == ("Ann", "Bob", 2, 4)
    assert found.same == pytest.approx(0.75)  # of a's three pairs two, and the tie of b
    # Ann: first better thrice, a tie; Bob: first better twice, second once, a tie. Expected (3*2 + 0 + 1*1) / 16.
    assert found.kappa == pytest.approx((0.75 - 7 / 16) / (1 - 7 / 16))
