"""Direct preference optimisation: losses on pairs of answers, without a reward model and without sampling.

In: of each pair the log-probabilities of the chosen and of the rejected answer under the model and under the reference, and their
numbers of tokens. Out: `margin`, how much more the model has come to prefer the chosen answer than the reference does, and a loss of
each pair.

| loss | of the margin h | source |
|---|---|---|
| dpo | -(1 - e) log sigmoid(beta h) - e log sigmoid(-beta h) | Rafailov et al. 2023, equation 7; e, the share of labels taken to be wrong: Mitchell 2023, "A note on DPO with noisy preferences", equation 3 |
| ipo | (h - 1 / (2 beta))^2 | Azar et al. 2023, equation 17; beta is its tau |
| chosen_nll | nats per token of the chosen answer, to be added | Pang et al. 2024, "Iterative Reasoning Preference Optimization", equation 1 |

Log-probabilities are sums over tokens, as in the papers. `length_normalised` takes means instead, which for IPO is what trl does.

P pairs.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Kind = Literal["dpo", "ipo"]


@dataclass(frozen=True)
class Sides:
    """Of the chosen answers, or of the rejected ones. All [P]."""

    logprobs: Tensor
    """Under the model, summed over tokens."""
    reference: Tensor
    """Under the reference, likewise."""
    tokens: Tensor

    def ratios(self, length_normalised: bool) -> Tensor:
        """log of the model's over the reference's probability; `length_normalised`: for a token."""
        ratios_P = self.logprobs - self.reference
        return ratios_P / self.tokens if length_normalised else ratios_P


def margin(chosen: Sides, rejected: Sides, length_normalised: bool = False) -> Tensor:
    """h [P]; times beta it is the margin of the implicit rewards."""
    return chosen.ratios(length_normalised) - rejected.ratios(length_normalised)


def dpo(margin_P: Tensor, beta: float, label_smoothing: float = 0.0) -> Tensor:
    right_P, wrong_P = F.logsigmoid(beta * margin_P), F.logsigmoid(-beta * margin_P)
    return -(1 - label_smoothing) * right_P - label_smoothing * wrong_P


def ipo(margin_P: Tensor, beta: float) -> Tensor:
    return torch.square(margin_P - 1 / (2 * beta))


def chosen_nll(chosen: Sides) -> Tensor:
    return -chosen.logprobs / chosen.tokens
