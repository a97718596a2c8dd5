"""Advantages within a group: how much better an answer is than the others to the same question. No value model is needed.

In: rewards [P, S] of S answers to each of P prompts. Out: advantages [P, S].

| kind | advantage | source |
|---|---|---|
| scaled | (reward - mean of the group) / (standard deviation of the group + 1e-4) | Shao et al. 2024, "DeepSeekMath" (GRPO), section 4.1.2 |
| centred | reward - mean of the group | Liu et al. 2025, "Understanding R1-Zero-Like Training" (Dr. GRPO): dividing favours questions that are too easy or too hard |

The deviation is the sample's (S - 1), as in `trl`. Where all rewards of a group are equal, all its advantages are 0: without saying so, the
mean of equal rewards is not always one of them in fp32, and an optimizer that divides by the size of gradients moves as far by that as by
any other.
"""

import torch
from torch import Tensor

EPSILON = 1e-4


def group_advantages(rewards_PS: Tensor, scaled: bool) -> Tensor:
    centred_PS = (rewards_PS - rewards_PS.mean(1, keepdim=True)) * informative(rewards_PS)[:, None]
    if not scaled or rewards_PS.shape[1] == 1:
        return centred_PS
    return centred_PS / (rewards_PS.std(1, keepdim=True) + EPSILON)


def informative(rewards_PS: Tensor) -> Tensor:
    """[P] bool: groups whose answers differ in reward. The others have no gradient; Yu et al. 2025 (DAPO), section 3.2, draw new ones for them."""
    return rewards_PS.amax(1) - rewards_PS.amin(1) > torch.finfo(torch.float32).eps
