"""Log-probabilities of given tokens and the entropy of what was expected in their places, without [B, T, V] logits.

In: hidden states [B, T, D], the output matrix [V, D] (fp32 masters), targets [B, T] (IGNORED = not asked), the temperature at which the
tokens were drawn. Out, both [B, T] in fp32 and 0 where not asked: log-probabilities in nats, with gradients to hidden states and matrix;
entropies in nats, without. They are those that generation reports (models/transformer/sampling.py), up to the rounding of sums.

Only positions that are asked for meet the output matrix, a chunk at a time; where there are several chunks, each is computed again in the
backward pass (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost").

B rows, T positions, D width, V vocabulary, N asked positions, M positions of a chunk.
"""

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from models.transformer.loss import IGNORED

CHUNK = 2**23
"""Logits of a chunk."""


def token_logprobs(hidden: Tensor, weight_VD: Tensor, targets_BT: Tensor, temperature: float = 1.0) -> Tensor:
    """The log-probabilities alone."""
    return logprobs_and_entropies(hidden, weight_VD, targets_BT, temperature, entropies=False)[0]


def logprobs_and_entropies(
    hidden: Tensor, weight_VD: Tensor, targets_BT: Tensor, temperature: float = 1.0, entropies: bool = True
) -> tuple[Tensor, Tensor]:
    """Without `entropies` these are 0, which is cheaper."""
    at_N = (targets_BT.reshape(-1) != IGNORED).nonzero()[:, 0]
    hidden_ND = hidden.reshape(-1, hidden.shape[-1])[at_N]
    targets_N = targets_BT.reshape(-1)[at_N]
    size = max(1, CHUNK // len(weight_VD))
    again = torch.is_grad_enabled() and len(hidden_ND) > size
    found: list[tuple[Tensor, Tensor]] = []
    for hidden_MD, targets_M in zip(hidden_ND.split(size), targets_N.split(size), strict=True):
        given = (hidden_MD, weight_VD, targets_M, temperature, entropies)
        found.append(checkpoint(_chunk, *given, use_reentrant=False, preserve_rng_state=False) if again else _chunk(*given))
    logprobs_N, entropies_N = (torch.cat(parts) for parts in zip(*found, strict=True))
    nothing = torch.zeros(targets_BT.numel(), dtype=torch.float32, device=hidden.device)
    shape = targets_BT.shape
    return nothing.index_copy(0, at_N, logprobs_N).view(shape), nothing.index_copy(0, at_N, entropies_N).view(shape)


def _chunk(hidden_MD: Tensor, weight_VD: Tensor, targets_M: Tensor, temperature: float, entropies: bool) -> tuple[Tensor, Tensor]:
    logits_MV = (hidden_MD @ weight_VD.to(hidden_MD.dtype).T).float()
    every_MV = torch.log_softmax(logits_MV if temperature == 1 else logits_MV / temperature, -1)
    logprobs_M = every_MV.gather(-1, targets_M[:, None])[:, 0]
    with torch.no_grad():
        spread_M = -(every_MV.exp() * every_MV).sum(-1) if entropies else torch.zeros_like(logprobs_M)
    return logprobs_M, spread_M
