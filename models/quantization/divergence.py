"""How far a quantized model is from the model that it was made of, on the same text.

In: both models, rows of tokens. Out: `Divergence`: for each predicted token the Kullback-Leibler divergence of the second's distribution from
the first's, in nats, whether the likeliest token is the same, and the second's loss. Sums are taken in fp64: in fp32 the divergence of F16
weights, 1e-7 nats, would drown in rounding.

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
        wanted_TV, found_TV = (one.double().log_softmax(-1) for one in (reference.logits(state), model.logits(other)))
        kls.append((wanted_TV.exp() * (wanted_TV - found_TV)).sum(-1).cpu())
        same.append((wanted_TV.argmax(-1) == found_TV.argmax(-1)).cpu())
        losses.append(-found_TV.gather(1, targets[:, None].to(found_TV.device))[:, 0].cpu())
    return torch.cat(kls), torch.cat(same), torch.cat(losses)
