"""Cross-entropy, fused with the output matrix and taken a chunk of positions at a time, so that [B, T, V] logits never exist.

In: hidden states [..., D], the output matrix [V, D] (fp32 masters), targets [...] (IGNORED = no loss). Out: the sum of the negative
log-likelihoods in nats and the number of supervised targets: sums and counts add up over micro-batches and ranks, means do not.

N positions, D width, V vocabulary, M positions of a chunk.

The backward pass is done in the forward pass: softmax - onehot of a chunk is turned into gradients of the hidden states and of the
matrix while it is at hand; autograd's backward only scales them. Logits are in the type of the hidden states, their sums in fp32.
"""

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor

IGNORED = -1
_CHUNK_NUMBERS = 2**20
"""Logits of one chunk: small enough to stay in a CPU's cache."""
_CHUNK_NUMBERS_CUDA = 2**26


def cross_entropy(hidden: Tensor, weight_VD: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """(sum of nll, fp32; number of targets that are not IGNORED, int64); gradients flow to `hidden` and `weight_VD`."""
    hidden_ND, targets_N = hidden.reshape(-1, hidden.shape[-1]), targets.reshape(-1)
    supervised_N = targets_N != IGNORED
    count = supervised_N.sum()
    if hidden.device.type == "cpu" and int(count) < len(targets_N):
        # Only the supervised positions are computed. On CUDA their number would have to be waited for.
        hidden_ND, targets_N = hidden_ND[supervised_N], targets_N[supervised_N]
    return cast(Tensor, _Fused.apply(hidden_ND, weight_VD, targets_N)), count


def token_losses(hidden: Tensor, weight_VD: Tensor, targets: Tensor) -> Tensor:
    """Negative log-likelihood of each target in nats, fp32, shaped like `targets`, 0 where IGNORED; for evaluation."""
    hidden_ND, targets_N = hidden.reshape(-1, hidden.shape[-1]), targets.reshape(-1)
    weight = weight_VD.detach().to(hidden.dtype)
    with torch.no_grad():
        losses = [_losses(hidden_ND[rows] @ weight.T, targets_N[rows])[0] for rows in _chunks(hidden_ND, weight)]
    return torch.cat(losses).view(targets.shape) if losses else targets.float()


def _chunks(hidden_ND: Tensor, weight_VD: Tensor) -> Iterator[slice]:
    numbers = _CHUNK_NUMBERS_CUDA if hidden_ND.device.type == "cuda" else _CHUNK_NUMBERS
    step = max(1, numbers // len(weight_VD))
    return (slice(first, first + step) for first in range(0, len(hidden_ND), step))


def _losses(logits_MV: Tensor, targets_M: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """nll [M] in fp32, 0 where IGNORED; log of the sum of exp [M, 1]; targets without IGNORED [M, 1]; whether supervised [M, 1]."""
    supervised = (targets_M != IGNORED)[:, None]
    at = targets_M.clamp_min(0)[:, None]
    wide = torch.promote_types(logits_MV.dtype, torch.float32)
    total = torch.logsumexp(logits_MV.to(wide), -1, keepdim=True)
    return ((total - logits_MV.gather(-1, at)) * supervised)[:, 0], total, at, supervised


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor) -> Tensor:
        weight = weight_VD.to(hidden_ND.dtype)
        wide = torch.promote_types(hidden_ND.dtype, torch.float32)
        nll = torch.zeros((), dtype=wide, device=hidden_ND.device)
        learning = any(ctx.needs_input_grad)
        hidden_grad_ND = torch.empty_like(hidden_ND) if learning else None
        weight_grad_VD = torch.zeros(weight.shape, dtype=wide, device=weight.device) if learning else None
        for rows in _chunks(hidden_ND, weight):
            chunk_MD = hidden_ND[rows]
            logits_MV = chunk_MD @ weight.T
            losses_M, total_M1, at_M1, supervised_M1 = _losses(logits_MV, targets_N[rows])
            nll += losses_M.sum()
            if hidden_grad_ND is not None and weight_grad_VD is not None:
                error_MV = (logits_MV.to(wide) - total_M1).exp_()
                error_MV.scatter_add_(-1, at_M1, error_MV.new_full((1, 1), -1).expand_as(at_M1))
                error_MV = error_MV.mul_(supervised_M1).to(hidden_ND.dtype)
                torch.mm(error_MV, weight, out=hidden_grad_ND[rows])
                weight_grad_VD += error_MV.T @ chunk_MD
        if hidden_grad_ND is not None and weight_grad_VD is not None:
            ctx.save_for_backward(hidden_grad_ND, weight_grad_VD)
        return nll

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, None]:
        hidden_grad_ND, weight_grad_VD = ctx.saved_tensors
        return hidden_grad_ND * upstream[0].to(hidden_grad_ND.dtype), weight_grad_VD * upstream[0], None
