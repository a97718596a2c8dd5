"""Generalised advantage estimation over the tokens of completions, and whitening.

In: rewards and values [B, T], of which those where `mask` is True belong to completions (one run of positions in each row). Out: advantages
and returns (advantages + values) [B, T], 0 outside.

    delta_t = reward_t + gamma * value_{t+1} - value_t          advantage_t = delta_t + gamma * lam * advantage_{t+1}

Behind the last token of a completion value and advantage are 0: the episode has ended.

Source: Schulman et al. 2015, "High-Dimensional Continuous Control Using Generalized Advantage Estimation", equations 11 to 16.
"""

import torch
from torch import Tensor


def gae(rewards_BT: Tensor, values_BT: Tensor, mask_BT: Tensor, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    values_BT = values_BT * mask_BT
    advantages_BT = torch.zeros_like(values_BT)
    advantage_B, next_B = torch.zeros_like(values_BT[:, 0]), torch.zeros_like(values_BT[:, 0])
    for t in range(values_BT.shape[1] - 1, -1, -1):
        delta_B = rewards_BT[:, t] + gamma * next_B - values_BT[:, t]
        advantage_B = (delta_B + gamma * lam * advantage_B) * mask_BT[:, t]
        next_B = values_BT[:, t]
        advantages_BT[:, t] = advantage_B
    return advantages_BT, advantages_BT + values_BT


def whiten(values_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Mean 0 and variance 1 over the masked positions, 0 elsewhere."""
    count = mask_BT.sum().clamp(min=1)
    mean = (values_BT * mask_BT).sum() / count
    variance = (((values_BT - mean) * mask_BT) ** 2).sum() / count
    return (values_BT - mean) * torch.rsqrt(variance + 1e-8) * mask_BT
