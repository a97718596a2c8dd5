"""How far a quantized model is from the model that it was made of, on the same text.

In: both models, rows of tokens. Out: `Divergence`: for each predicted token the Kullback-Leibler divergence of the second's
distribution from the first's, in nats, whether the likeliest token is the same, and the second's loss.

The divergence of F16 weights, 1e-7 nats, would drown in the rounding of a difference of logarithms. With d the difference of the
logits and u = d less its mean under the first distribution p, it is log(sum p e^u) = log1p(sum p (e^u - 1 - u)), a sum of small
positive numbers.

N rows, T positions, P = N * (T - 1) predictions, D width, V vocabulary.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.transformer.transformer import Transformer

LOGITS = 1 << 21
"""Logits at a time."""


@dataclass(frozen=True)
class Divergence:
    """Each [P]."""

    kl: Tensor
    """Nats."""
    same_top: Tensor
    """bool."""
    loss: Tensor
    """Nats, of the second model."""


def hidden_states(model: Transformer, rows: Iterable[Tensor], watch: Callable[[], None] = lambda: None) -> list[Tensor]:
    """[T - 1, D] of each row, after the last norm: what the output matrix turns into logits. `rows`: batches [B, T]."""
    found: list[Tensor] = []
    with torch.inference_mode():
        for tokens_BT in rows:
            found += model.hidden(tokens_BT[:, :-1].to(model.embedding.weight.device)).unbind()
            watch()
    return found


def divergence(
    reference: Transformer,
    states: list[Tensor],
    model: Transformer,
    rows: Iterable[Tensor],
    watch: Callable[[], None] = lambda: None,
) -> Divergence:
    """`states`: of the reference, `hidden_states` of the same rows."""
    rows = list(rows)
    targets = [row[1:] for tokens_BT in rows for row in tokens_BT]
    others = hidden_states(model, rows, watch)
    with torch.inference_mode():
        parts = [
            _of_row(reference, state, model, other, target) for state, other, target in zip(states, others, targets, strict=True)
        ]
    return Divergence(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _of_row(
    reference: Transformer, state_TD: Tensor, model: Transformer, other_TD: Tensor, targets_T: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    kls, same, losses = [], [], []
    size = max(1, LOGITS // reference.shape.vocab)
    for state, other, targets in zip(state_TD.split(size), other_TD.split(size), targets_T.split(size), strict=True):
        before_TV, after_TV = reference.logits(state).float(), model.logits(other).float()
        wanted_TV = before_TV.softmax(-1)
        apart_TV = after_TV - before_TV
        apart_TV -= (wanted_TV * apart_TV).sum(-1, keepdim=True)
        kls.append((wanted_TV * (apart_TV.expm1() - apart_TV)).sum(-1, dtype=torch.float64).log1p().cpu())
        same.append((before_TV.argmax(-1) == after_TV.argmax(-1)).cpu())
        chosen_T = after_TV.gather(1, targets[:, None].to(after_TV.device))[:, 0]
        losses.append((after_TV.logsumexp(-1) - chosen_T).double().cpu())
    return torch.cat(kls), torch.cat(same), torch.cat(losses)
