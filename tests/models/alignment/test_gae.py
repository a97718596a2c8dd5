"""Advantages over tokens: against the sum written out, whatever lies beside the completions."""

import pytest
import torch

from models.alignment.gae import gae, whiten


def test_it_is_the_discounted_sum_of_temporal_differences_of_each_completion_alone() -> None:
    torch.manual_seed(0)
    gamma, lam = 0.9, 0.8
    rewards, values = torch.randn(3, 8).double(), torch.randn(3, 8).double()
    spans = [(2, 7), (0, 8), (5, 6)]
    mask = torch.zeros(3, 8, dtype=torch.bool)
    for row, (begin, end) in enumerate(spans):
        mask[row, begin:end] = True
    advantages, returns = gae(rewards, values, mask, gamma, lam)
    for row, (begin, end) in enumerate(spans):
        for t in range(begin, end):
            expected = 0.0
            for k in range(t, end):
                behind = values[row, k + 1] if k + 1 < end else 0.0
                expected += (gamma * lam) ** (k - t) * float(rewards[row, k] + gamma * behind - values[row, k])
            assert float(advantages[row, t]) == pytest.approx(expected)
            assert float(returns[row, t]) == pytest.approx(expected + float(values[row, t]))
    assert not advantages[~mask].any()
    assert not returns[~mask].any()


def test_with_lambda_one_a_return_is_what_was_earned_from_there_on() -> None:
    rewards, mask = torch.tensor([[0.0, 1.0, 0.0, 2.0]]), torch.ones(1, 4, dtype=torch.bool)
    returns = gae(rewards, torch.tensor([[5.0, -3.0, 7.0, 1.0]]), mask, 1.0, 1.0)[1]
    assert returns.tolist() == [[3.0, 3.0, 2.0, 2.0]]


def test_whitened_values_have_mean_zero_and_variance_one_within_the_mask() -> None:
    torch.manual_seed(1)
    values, mask = 3 + 5 * torch.randn(4, 6), torch.rand(4, 6) < 0.6
    found = whiten(values, mask)
    assert float(found[mask].mean()) == pytest.approx(0, abs=1e-6)
    assert float(found[mask].var(correction=0)) == pytest.approx(1, abs=1e-5)
    assert not found[~mask].any()
