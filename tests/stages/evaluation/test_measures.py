import math

import numpy as np
import pytest
from scipy import stats

from stages.evaluation.measures import SCORES, difference, frame, mean, ratio, share, wilson


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (3, 10), (10, 10), (87, 150), (1, 1)])
def test_the_interval_of_a_share_is_wilsons(hits: int, n: int) -> None:
    expected = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_a_share_has_its_standard_error() -> None:
    measure = share("cloze", "accuracy", [True] * 30 + [False] * 70, chance=0.05)
    assert (measure.value, measure.n, measure.chance) == (0.3, 100, 0.05)
    assert measure.stderr == pytest.approx(np.std([1] * 30 + [0] * 70, ddof=1) / 10)


def test_a_mean_is_a_ratio_over_ones() -> None:
    values = [1.0, 2.0, 4.0, 9.0]
    measure = mean("memorisation", "longest_run", values)
    assert (measure.value, measure.stderr) == pytest.approx((4.0, stats.sem(values)))
    assert (measure.low, measure.high) == pytest.approx((4 - 1.959964 * stats.sem(values), 4 + 1.959964 * stats.sem(values)))


def test_the_error_of_a_ratio_is_that_of_the_bootstrap() -> None:
    rng = np.random.default_rng(0)
    sizes = rng.integers(100, 5_000, 400).astype(float)
    bits = sizes * rng.normal(1.1, 0.2, 400)
    measure = ratio("bits_per_byte", "bits_per_byte", bits.tolist(), sizes.tolist())
    assert measure.value == pytest.approx(bits.sum() / sizes.sum())
    drawn = rng.integers(0, 400, (4_000, 400))
    assert measure.stderr == pytest.approx(np.std(bits[drawn].sum(1) / sizes[drawn].sum(1)), rel=0.1)


def test_the_interval_of_a_difference_of_shares_is_newcombes() -> None:
    """His example: 56 of 70 and 48 of 80; method 10 gives 0.0524 to 0.3339."""
    one, other = share("a", "b", [True] * 56 + [False] * 14), share("a", "b", [True] * 48 + [False] * 32)
    found = difference(one, other, "one - other")
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)


def test_none_of_few_is_not_certainly_nothing() -> None:
    never = share("memorisation", "extractable", [False] * 5)
    assert difference(never, never, "training - unseen").high == pytest.approx(wilson(0, 5)[1])


def test_one_case_has_a_value_and_no_error() -> None:
    measure = ratio("bits_per_byte", "loss", [3.0], [2.0])
    assert (measure.value, measure.stderr, measure.low) == (1.5, None, None)
    assert difference(measure, measure, "").low is None


def test_the_table_has_its_columns_also_when_empty() -> None:
    assert dict(frame([]).schema) == SCORES
    assert frame([share("cloze", "accuracy", [True])]).row(0, named=True) | {"low": 0.0} == {
        "task": "cloze", "part": None, "metric": "accuracy", "value": 1.0, "n": 1, "stderr": None, "low": 0.0,
        "high": pytest.approx(1.0), "chance": None, "note": None,
    }  # fmt: skip
    assert not math.isnan(wilson(0, 1)[0])
