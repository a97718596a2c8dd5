"""Group relative policy optimisation: a loss for each token, and how tokens add up to the objective.

In: log-probabilities [B, T] of the drawn tokens now, at the time of drawing and, for a KL penalty, under the reference; advantages [B, 1] or
[B, T]. Out: losses [B, T]. An objective is the sum of weight * loss over all completion tokens, where the weight is that of the
completion to which a token belongs:

| variant | weight of a token | what is particular beside it | source |
|---|---|---|---|
| grpo | 1 / (N * length of its completion): the mean over completions of the mean over tokens | | Shao et al. 2024, equation 3 |
| dr_grpo | 1 / (N * longest allowed): long wrong answers are not spared | advantages are not divided by the deviation | Liu et al. 2025, section 3 |
| dapo | 1 / tokens of all completions | a higher upper clip, groups without differences drawn anew | Yu et al. 2025, equation 8 |

N completions, B rows, T positions.
"""

from typing import Literal

from torch import Tensor

from models.alignment.kl import k3
from models.alignment.ppo import policy_losses

Variant = Literal["grpo", "dr_grpo", "dapo"]


def grpo_losses(
    logprobs: Tensor,
    old: Tensor,
    advantages: Tensor,
    low: float,
    high: float,
    reference: Tensor | None = None,
    kl_weight: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """(losses, clipped: bool): PPO's clipped ratio and, with a reference, `kl_weight` times k3."""
    losses, clipped = policy_losses(logprobs, old, advantages, low, high)
    return (losses if reference is None else losses + kl_weight * k3(logprobs, reference)), clipped


def token_weights(lengths_A: Tensor, variant: Variant, longest: int, completions: float, tokens: float) -> Tensor:
    """[A], fp32: weight of each token of a completion, 0 of one that is masked. `lengths_A`: tokens of each that count, 0 where masked;
    `completions` and `tokens`: of all together, of which these may be a part; masked ones are completions and have no tokens."""
    lengths = lengths_A.float()
    there = (lengths > 0).float()
    if variant == "grpo":
        return there / (completions * lengths.clamp(min=1))
    return there / (completions * longest if variant == "dr_grpo" else max(1.0, tokens))
