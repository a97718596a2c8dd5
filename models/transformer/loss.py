"""Cross-entropy, fused with the output matrix and taken a chunk of positions at a time, so that [B, T, V] logits never exist.

In: hidden states [..., D], the output matrix [V, D] (fp32 masters), targets [...] (IGNORED = no loss). Out: the sum of the negative
log-likelihoods in nats and the number of supervised targets: sums and counts add up over micro-batches and ranks, means do not.

N positions, D width, V vocabulary, M positions of a chunk.

The backward pass is done in the forward pass: softmax - onehot of a chunk is turned into gradients of the hidden states and of the
matrix while it is at hand; autograd's backward only scales them. Logits are in the type of the hidden states, all sums in fp32.
"""

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor

IGNORED = -1


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
    """Negative log-likelihood of each target in nats, fp32, shaped like `targets`, 0 where IGNORED; without gradients."""
    hidden_ND, targets_N = hidden.reshape(-1, hidden.shape[-1]), targets.reshape(-1)
    with torch.no_grad():
        weight = weight_VD.to(hidden.dtype)
        wide = torch.promote_types(hidden.dtype, torch.float32)
        losses_N = torch.zeros(len(targets_N), dtype=wide, device=hidden.device)
        for rows in _chunks(hidden_ND, weight):
            logits_MV = (hidden_ND[rows] @ weight.T).to(wide)
            at_M1 = targets_N[rows].clamp_min(0)[:, None]
            losses_N[rows] = (torch.logsumexp(logits_MV, -1, keepdim=True) - logits_MV.gather(-1, at_M1))[:, 0]
        return losses_N.masked_fill_(targets_N == IGNORED, 0).view(targets.shape)


def _chunks(hidden_ND: Tensor, weight_VD: Tensor) -> Iterator[slice]:
    """On CPUs 512 rows were the fastest at every vocabulary (fewer pass over the matrix's gradient too often, more leave the cache)."""
    cuda = hidden_ND.device.type == "cuda"
    step = max(256, min(8192 if cuda else 512, (2**26 if cuda else 2**25) // len(weight_VD)))
    return (slice(first, first + step) for first in range(0, len(hidden_ND), step))


def _room(kept: dict[str, Tensor], name: str, size: tuple[int, ...], like: Tensor) -> Tensor:
    if name not in kept:
        kept[name] = like.new_empty(size)
    return kept[name][: size[0]]


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor) -> Tensor:
        if not any(ctx.needs_input_grad):
            return token_losses(hidden_ND, weight_VD, targets_N).sum()
        weight = weight_VD.to(hidden_ND.dtype)
        wide = torch.promote_types(hidden_ND.dtype, torch.float32)
        nll = torch.zeros((), dtype=wide, device=hidden_ND.device)
        hidden_grad_ND = torch.empty_like(hidden_ND)
        weight_grad_VD = torch.zeros(weight.shape, dtype=wide, device=weight.device) if ctx.needs_input_grad[1] else None
        # A chunk's numbers are written over the last chunk's: fresh memory would cost more than the sums.
        kept: dict[str, Tensor] = {}
        for rows in _chunks(hidden_ND, weight):
            chunk_MD = hidden_ND[rows]
            supervised_M1 = (targets_N[rows] != IGNORED)[:, None]
            at_M1 = targets_N[rows].clamp_min(0)[:, None]
            size = (len(chunk_MD), len(weight))
            logits_MV = torch.mm(chunk_MD, weight.T, out=_room(kept, "logits", size, weight))
            wide_MV = logits_MV if wide == logits_MV.dtype else _room(kept, "wide", size, nll).copy_(logits_MV)
            error_MV = torch.softmax(wide_MV, -1, out=_room(kept, "error", size, nll))
            # The likeliest token's probability is 1 / sum of exp(logit - highest logit): no second pass for the sum.
            log_sum_M1 = wide_MV.amax(-1, keepdim=True) - error_MV.amax(-1, keepdim=True).log()
            nll += ((log_sum_M1 - wide_MV.gather(-1, at_M1)) * supervised_M1).sum()
            error_MV.scatter_(-1, at_M1, error_MV.gather(-1, at_M1) - 1)
            error_MV = error_MV if wide == logits_MV.dtype else logits_MV.copy_(error_MV)
            hidden_grad_ND[rows] = torch.mm(error_MV, weight) * supervised_M1
            if weight_grad_VD is None:
                continue
            chunk_MD = chunk_MD * supervised_M1
            if wide == error_MV.dtype:
                weight_grad_VD.addmm_(error_MV.T, chunk_MD)
            else:
                weight_grad_VD += torch.mm(error_MV.T, chunk_MD, out=_room(kept, "grad", weight.shape, weight))
        ctx.save_for_backward(hidden_grad_ND, weight_grad_VD)
        return nll

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor | None, None]:
        hidden_grad_ND, weight_grad_VD = ctx.saved_tensors
        to_hidden = hidden_grad_ND * upstream[0].to(hidden_grad_ND.dtype)
        return to_hidden, None if weight_grad_VD is None else weight_grad_VD * upstream[0], None
