"""Ratings from wins."""

import math

import pytest
import torch

from models.alignment.bradley_terry import elo, ratings
from models.unusable import Unusable


def test_two_competitors_are_apart_by_the_log_of_their_odds() -> None:
    found = ratings(torch.tensor([[0, 30], [10, 0]]), prior=0)
    assert float(found[0] - found[1]) == pytest.approx(math.log(3))
    assert float(found.sum()) == pytest.approx(0)
    assert float(elo(found)[0] - elo(found)[1]) == pytest.approx(400 * math.log10(3))


def test_ratings_are_where_expected_and_actual_wins_agree() -> None:
    wins = torch.tensor([[0, 8, 3], [4, 0, 9.5], [5, 2.5, 0]], dtype=torch.float64)
    found = ratings(wins, prior=0)
    share = torch.sigmoid(found[:, None] - found[None, :])
    expected = ((wins + wins.T) * share).sum(1)  # a competitor is no rival of its own: its games with itself are none
    torch.testing.assert_close(wins.sum(1), expected)


def test_who_always_wins_has_a_finite_rating_by_the_prior_alone() -> None:
    found = ratings(torch.tensor([[0, 1000], [0, 0]]))
    assert float(found[0] - found[1]) == pytest.approx(math.log(2001))


def test_samples_are_rated_as_each_alone() -> None:
    torch.manual_seed(0)
    wins = torch.randint(0, 50, (20, 4, 4))
    torch.testing.assert_close(ratings(wins), torch.stack([ratings(one) for one in wins]))


def test_groups_that_never_met_are_refused() -> None:
    wins = torch.zeros(4, 4)
    wins[0, 1] = wins[2, 3] = 5
    with pytest.raises(Unusable, match="never met"):
        ratings(wins)
