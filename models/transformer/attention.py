"""Causal attention over whole rows, for training: `scaled_dot_product_attention`, and on CPUs something faster with gradients.

PyTorch's flash kernel for CPUs multiplies in tiles too small for their matrix units. Here a block of queries meets all keys before
its end in one batched product, the query heads of a key-value head side by side; probabilities are kept for the backward pass, as
long as rows are short enough for that (`LONGEST`). Measured with `winnow bench train`; same numbers within rounding.

B rows, H query heads, K key-value heads, G = H/K, T positions, C numbers per head, N = B*K, Q queries of a block, S keys up to its end.
"""

import math
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

LONGEST = 1024
"""Positions: probabilities take B*H*T*T/2 numbers a layer, and the gain shrinks."""


def causal_attention(q_BHTC: Tensor, k_BKTC: Tensor, v_BKTC: Tensor) -> Tensor:
    """[B, H, T, C]: each position looks at itself and all before it."""
    B, H, T, C = q_BHTC.shape
    K = k_BKTC.shape[1]
    if q_BHTC.device.type == "cpu" and torch.is_grad_enabled() and q_BHTC.requires_grad and T <= LONGEST:
        attended = cast(
            Tensor, _Blocks.apply(q_BHTC.reshape(B * K, H // K, T, C), k_BKTC.reshape(-1, T, C), v_BKTC.reshape(-1, T, C))
        )
        return attended.view(B, H, T, C)
    return F.scaled_dot_product_attention(q_BHTC, k_BKTC, v_BKTC, is_causal=T > 1, enable_gqa=K != H)


def _block(T: int, dtype: torch.dtype) -> int:
    """Smaller blocks multiply less in vain above the diagonal, larger ones multiply faster; bf16 multiplies faster still."""
    return min(T, 128 if dtype == torch.bfloat16 or T > 512 else 64)


class _Blocks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q_NGTC: Tensor, k_NTC: Tensor, v_NTC: Tensor) -> Tensor:
        N, G, T, C = q_NGTC.shape
        out_NGTC = torch.empty_like(q_NGTC)
        step = _block(T, q_NGTC.dtype)
        above = torch.ones(step, step, dtype=torch.bool).triu(1)
        kept = []
        for first in range(0, T, step):
            last = min(first + step, T)
            size = last - first
            queries = q_NGTC[:, :, first:last].reshape(N, G * size, C)
            scores = torch.baddbmm(queries.new_empty(()), queries, k_NTC[:, :last].mT, beta=0, alpha=C**-0.5)
            scores.view(N, G, size, last)[..., first:].masked_fill_(above[:size, :size], -math.inf)
            probabilities = torch.softmax(scores, -1)  # [N, G*Q, S]
            out_NGTC[:, :, first:last] = torch.bmm(probabilities, v_NTC[:, :last]).view(N, G, size, C)
            kept.append(probabilities)
        ctx.save_for_backward(q_NGTC, k_NTC, v_NTC, *kept)
        return out_NGTC

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q_NGTC, k_NTC, v_NTC, *kept = ctx.saved_tensors
        (up_NGTC,) = upstream
        N, G, T, C = q_NGTC.shape
        wide = torch.promote_types(q_NGTC.dtype, torch.float32)  # sums over blocks are kept in fp32
        q_grad_NGTC = torch.empty_like(q_NGTC)
        k_grad_NTC, v_grad_NTC = torch.zeros_like(k_NTC, dtype=wide), torch.zeros_like(v_NTC, dtype=wide)
        step = _block(T, q_NGTC.dtype)
        for first, probabilities in zip(range(0, T, step), kept, strict=True):
            last = min(first + step, T)
            size = last - first
            queries = q_NGTC[:, :, first:last].reshape(N, G * size, C)
            up = up_NGTC[:, :, first:last].reshape(N, G * size, C)
            v_grad_NTC[:, :last] += torch.bmm(probabilities.mT, up)
            scores_grad = torch._softmax_backward_data(torch.bmm(up, v_NTC[:, :last].mT), probabilities, -1, probabilities.dtype)
            scores_grad.mul_(C**-0.5)
            q_grad_NGTC[:, :, first:last] = torch.bmm(scores_grad, k_NTC[:, :last]).view(N, G, size, C)
            k_grad_NTC[:, :last] += torch.bmm(scores_grad.mT, queries)
        return q_grad_NGTC, k_grad_NTC.to(k_NTC.dtype), v_grad_NTC.to(v_NTC.dtype)
