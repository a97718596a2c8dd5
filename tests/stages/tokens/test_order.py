import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.tokens.order import PERIOD, Order, order
from storage.problem import Problem


def corpora(*sizes: int) -> dict[str, range]:
    ends = np.cumsum(sizes).tolist()
    return {f"corpus {n:02}": range(end - size, end) for n, (size, end) in enumerate(zip(sizes, ends, strict=True))}


def drawn(made: Order, count: int) -> np.ndarray:
    """Rows of each corpus among the first 1, 2 ... count places, [count, C]."""
    rows = made.rows(np.arange(count))
    ends = made.first + made.sizes
    return ((rows[:, None] >= made.first) & (rows[:, None] < ends)).cumsum(0)


WEIGHTS = st.lists(st.integers(1, 60), min_size=1, max_size=7)


@settings(deadline=None)  # the first call compiles
@given(WEIGHTS)
def test_shares_are_met_within_one_row_at_every_prefix(parts: list[int]) -> None:
    given = corpora(*[5] * len(parts))
    made = order(0, given, dict(zip(given, map(float, parts), strict=True)))
    count = 2 * sum(parts)
    exact = np.arange(1, count + 1)[:, None] * np.array(parts) / sum(parts)
    assert np.abs(drawn(made, count) - exact).max() < 1


def test_weights_that_have_no_short_period_are_met_too() -> None:
    weights = {"corpus 00": 1 / 3, "corpus 01": 0.123456789, "corpus 02": 2**0.5, "corpus 03": 1e-9}
    made = order(0, corpora(4, 4, 4, 4), weights)
    assert len(made.turns) == PERIOD
    assert made.shares[3] == 1
    exact = np.arange(1, 50_001)[:, None] * np.array(list(weights.values())) / sum(weights.values())
    assert np.abs(drawn(made, 50_000) - exact).max() < 1.1
    assert np.abs(made.shares / PERIOD - exact[-1] / 50_000).max() < 2 / PERIOD


@settings(deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(0, 3))
def test_without_weights_every_row_is_seen_once_before_any_is_seen_again(sizes: list[int], seed: int) -> None:
    made = order(seed, corpora(*sizes), {})
    total = sum(sizes)
    for epoch in range(3):
        assert sorted(made.rows(np.arange(epoch * total, (epoch + 1) * total)).tolist()) == list(range(total))
    assert made.epochs(2 * total) == dict.fromkeys(corpora(*sizes), 2.0)


def test_each_corpus_is_gone_through_whole_in_another_order_each_epoch() -> None:
    made = order(0, corpora(7, 40), {"corpus 00": 0.7, "corpus 01": 0.3})
    rows = made.rows(np.arange(1_000))
    small = rows[rows < 7].reshape(-1, 7)
    assert (np.sort(small, 1) == np.arange(7)).all()
    assert len({tuple(epoch) for epoch in small.tolist()}) > 90
    assert made.epochs(1_000) == {"corpus 00": 100.0, "corpus 01": 7.5}


def test_the_order_from_any_place_on_is_that_of_an_uninterrupted_run() -> None:
    made = order(5, corpora(11, 23, 3), {"corpus 00": 5, "corpus 01": 2.5, "corpus 02": 0.31})
    whole = made.rows(np.arange(3_000))
    for place in (1, 17, 1_000, 2_999):
        resumed = order(5, corpora(11, 23, 3), {"corpus 00": 5, "corpus 01": 2.5, "corpus 02": 0.31})
        assert np.array_equal(resumed.rows(np.arange(place, 3_000)), whole[place:])
    assert np.array_equal(made.rows(np.array([2_000, 3, 700])), whole[[2_000, 3, 700]])


def test_far_places_are_as_near_as_the_first() -> None:
    made = order(0, corpora(10**6, 10**4), {"corpus 00": 0.9, "corpus 01": 0.1})
    rows = made.rows(10**12 + np.arange(1_000))
    assert (rows < 10**6).sum() == 900
    assert made.epochs(10**12) == {"corpus 00": 0.9e6, "corpus 01": 1e7}


def test_seeds_differ() -> None:
    assert not np.array_equal(order(0, corpora(50), {}).rows(np.arange(50)), order(1, corpora(50), {}).rows(np.arange(50)))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"corpus 00": 1.0}, "found mixture weights for corpus 00, expected one for each packed corpus: corpus 00, corpus 01"),
        ({"corpus 00": 1.0, "corpus 01": 1.0, "web": 1.0}, "found mixture weights for corpus 00, corpus 01, web, expected one"),
        ({"corpus 00": 1.0, "corpus 01": 0.0}, "found the mixture weights {'corpus 01': 0.0}, expected positive numbers"),
        ({"corpus 00": 1.0, "corpus 01": float("nan")}, "expected positive numbers"),
    ],
)
def test_weights_that_are_not_one_for_each_corpus_are_refused(weights: dict[str, float], message: str) -> None:
    with pytest.raises(Problem, match=message):
        order(0, corpora(5, 5), weights)
