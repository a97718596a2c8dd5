"""PPO's losses on a case that is worked out by hand."""

import math

import pytest
import torch

from models.alignment.kl import adapted, k1, k3
from models.alignment.ppo import policy_losses, value_losses


def test_the_policy_loss_takes_the_smaller_gain_of_the_free_and_the_clipped_ratio() -> None:
    """Ratios 1.5, 0.5, 1.1 at an advantage of 2, then of -2; clip 0.2."""
    logprobs = torch.log(torch.tensor([[1.5, 0.5, 1.1], [1.5, 0.5, 1.1]]))
    advantages = torch.tensor([[2.0], [-2.0]])
    losses, clipped = policy_losses(logprobs, torch.zeros(2, 3), advantages, 0.2, 0.2)
    torch.testing.assert_close(losses, torch.tensor([[-2.4, -1.0, -2.2], [3.0, 1.6, 2.2]]))
    assert clipped.tolist() == [[True, False, False], [False, True, False]]


def test_the_value_loss_is_half_the_larger_square_of_the_free_and_the_held_value() -> None:
    """Old value 1, held within 0.2: a value of 2 is held at 1.2, one of 0.5 at 0.8, one of 1.1 is free."""
    values, returns = torch.tensor([2.0, 2.0, 0.5, 1.1]), torch.tensor([3.0, 1.0, 0.0, 3.0])
    losses, clipped = value_losses(values, torch.ones(4), returns, 0.2)
    torch.testing.assert_close(losses, 0.5 * torch.tensor([1.8**2, 1.0, 0.8**2, 1.9**2]))
    assert clipped.tolist() == [True, False, True, False]


def test_estimates_of_the_divergence_have_its_mean_and_the_third_is_never_negative() -> None:
    policy, reference = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.5, 0.3])
    exact = float((policy * (policy / reference).log()).sum())
    for estimate in (k1, k3):
        each = estimate(policy.log(), reference.log())
        assert float((policy * each).sum()) == pytest.approx(exact)
    assert bool((k3(policy.log(), reference.log()) >= 0).all())


def test_the_coefficient_rises_above_the_target_and_falls_below_it_by_a_fifth_at_most() -> None:
    assert adapted(0.1, kl=6.6, target=6.0, completions=100, horizon=1000) == pytest.approx(0.1 * 1.01)
    assert adapted(0.1, kl=60.0, target=6.0, completions=1000, horizon=1000) == pytest.approx(0.12)
    assert adapted(0.1, kl=0.0, target=6.0, completions=1000, horizon=1000) == pytest.approx(0.08)
    assert adapted(0.1, kl=0.0, target=6.0, completions=24, horizon=1) == pytest.approx(0.08)
    assert math.isclose(adapted(0.1, kl=6.0, target=6.0, completions=500, horizon=1000), 0.1)
