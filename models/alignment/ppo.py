"""PPO's two clipped losses, token by token.

In: log-probabilities (or values) now and at the time of drawing, advantages (or returns), all [B, T]. Out: a loss for each token, and where
clipping took its gradient away. The caller takes the mean over completion tokens.

Sources: Schulman et al. 2017, "Proximal Policy Optimization Algorithms", equation 7; for the clipped value Schulman's baselines as Huang et
al. 2022, "The 37 Implementation Details of Proximal Policy Optimization", detail 9, describe them.
"""

import torch
from torch import Tensor


def policy_losses(logprobs: Tensor, old: Tensor, advantages: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    """-min(ratio A, clip(ratio, 1 - low, 1 + high) A) with ratio = new / old probability; clipped: bool."""
    ratio = (logprobs - old).exp()
    losses = -torch.minimum(ratio * advantages, ratio.clamp(1 - low, 1 + high) * advantages)
    clipped = ((ratio < 1 - low) & (advantages < 0)) | ((ratio > 1 + high) & (advantages > 0))
    return losses, clipped


def value_losses(values: Tensor, old: Tensor, returns: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """Half the larger of two squared errors: of the value, and of the value held within `clip` of the old one; clipped: bool."""
    held = old + (values - old).clamp(-clip, clip)
    free, bound = (values - returns) ** 2, (held - returns) ** 2
    return 0.5 * torch.maximum(free, bound), bound > free
