"""What is told of a reward model, by hand on a few pairs."""

import math

import polars as pl
import pytest

from stages.alignment.reward_model import HELD_OUT
from stages.alignment.reward_report import calibration, correlations, expected_error, report


def held_out(rows: list[tuple[float, float, int, int]]) -> pl.DataFrame:
    return pl.DataFrame(
        [(str(place), a, b, m, n, None, a > b) for place, (a, b, m, n) in enumerate(rows)], schema=HELD_OUT, orient="row"
    )


def apart(probability: float) -> float:
    return math.log(probability / (1 - probability))


def test_confidence_is_compared_with_how_often_it_was_right() -> None:
    rows = [(apart(0.8), 0.0, 5, 5), (apart(0.8), 0.0, 5, 5), (0.0, apart(0.8), 5, 5), (apart(0.98), 0.0, 5, 5)]
    table = calibration(held_out(rows), 5)
    assert table["pairs"].to_list() in ([0, 0, 0, 3, 1], [0, 0, 3, 0, 1])  # .8 is the border of two
    filled = table.filter(pl.col("pairs") > 0)
    assert filled["confidence"].to_list() == pytest.approx([0.8, 0.98])
    assert filled["accuracy"].to_list() == pytest.approx([2 / 3, 1.0])
    assert expected_error(table) == pytest.approx((3 * (0.8 - 2 / 3) + 0.02) / 4)


def test_length_is_told_from_scores() -> None:
    rows = [(2.0, 1.0, 20, 10), (3.0, 1.0, 30, 10), (1.0, 2.0, 10, 20)]
    table = calibration(held_out(rows), 10)
    found = correlations(held_out(rows), table)
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["length_correlation"] == pytest.approx(1.0)
    assert found["length_rank_correlation"] == pytest.approx(1.0)
    assert found["longer_chosen"] == pytest.approx(2 / 3)
    assert found["longer_scored_higher"] == pytest.approx(1.0)
    assert (found["accuracy_chosen_longer"], found["accuracy_chosen_shorter"]) == (1.0, 0.0)
    text = report(found, table)
    assert "in 0.667 [0.208, 0.939] of 3 pairs" in text
    assert "| correlation of score and tokens | 1.000 |" in text


def test_answers_of_one_length_have_no_correlation_with_it() -> None:
    rows = [(2.0, 1.0, 5, 5), (0.5, 1.0, 5, 5)]
    found = correlations(held_out(rows), calibration(held_out(rows), 10))
    assert found["length_correlation"] is None
    assert found["longer_chosen"] is None
    assert "| of their ranks | none |" in report(found, calibration(held_out(rows), 10))
