"""AWQ: columns that meet large activations are scaled up before rounding, and what comes before the matrix is scaled down as
much.

In: a block of a model and a sample of its matrices' inputs. Out: the same block, changed in place: it computes what it did, and
rounds better. For each group of matrices with one input the scale of a column is its mean absolute input to a power of 0, 1/20 ..
19/20: the one after which the rounded matrices' outputs differ least.

| what comes before | matrices |
|---|---|
| attention_norm | q, k, v |
| v | o, where every query head has a key-value head of its own |
| feed_forward_norm | gate, up |
| up | down |

Unlike there, inputs are taken less their mean: scales that make up for an error which is the same at every token cost those columns that
tell tokens apart (a `small` model came out at half the divergence).

Source: Lin et al. 2023, "AWQ: Activation-aware Weight Quantization for LLM Compression and Acceleration", section 3.2.

N tokens, O outputs, I inputs.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from models.quantization.integers import Grid, round_to_nearest

POWERS = 20


def smooth(block: Any, inputs: Mapping[str, Tensor], grid: Grid) -> None:
    """`inputs`: of each matrix by its path in the block, a sample [N, I]."""
    attention, feed_forward = block.attention, block.feed_forward
    groups = [
        (block.attention_norm, "attention.q", [attention.q, attention.k, attention.v]),
        (attention.v, "attention.o", [attention.o]),
        (block.feed_forward_norm, "feed_forward.gate", [feed_forward.gate, feed_forward.up]),
        (feed_forward.up, "feed_forward.down", [feed_forward.down]),
    ]
    for before, path, matrices in groups:
        if path == "attention.o" and attention.v.weight.shape[0] != attention.o.weight.shape[1]:
            continue
        scale_I = _best(inputs[path], [matrix.weight.detach() for matrix in matrices], grid)
        with torch.no_grad():
            for matrix in matrices:
                matrix.weight.mul_(scale_I)
            before.weight.div_(scale_I if before.weight.ndim == 1 else scale_I[:, None])


def _best(x_NI: Tensor, weights: list[Tensor], grid: Grid) -> Tensor:
    x_NI = x_NI - x_NI.mean(0)
    typical_I = x_NI.abs().mean(0).clamp_min(1e-4)
    best_I, least = torch.ones_like(typical_I), torch.inf
    for step in range(POWERS):
        scale_I = typical_I ** (step / POWERS)
        scale_I = scale_I / (scale_I.max() * scale_I.min()).sqrt()
        error = 0.0
        for weight_OI in weights:
            rounded_OI = round_to_nearest(weight_OI * scale_I, grid).weight() / scale_I
            error += float((x_NI @ (rounded_OI - weight_OI).T).square().sum())
        if error < least:
            best_I, least = scale_I, error
    return best_I
