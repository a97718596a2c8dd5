"""Rotary position embedding in the rotate-half layout (Su et al. 2021; Llama), with the frequency scaling of Llama 3.1.

T positions, C numbers per head.
"""

import math
from typing import Any, cast

import torch
from torch import Tensor

from models.transformer.shape import Llama3Scaling, Shape


def frequencies(shape: Shape) -> Tensor:
    """Radians per position of each pair: [C/2], fp32."""
    # On the CPU also where a `torch.device` context says otherwise: `load_model` builds on meta, and this is no weight to be read.
    pairs = torch.arange(0, shape.head_width, 2, dtype=torch.float32, device="cpu")
    freqs = 1.0 / shape.theta ** (pairs / shape.head_width)
    return freqs if shape.scaling is None else _stretched(freqs, shape.scaling)


def _stretched(freqs: Tensor, scaling: Llama3Scaling) -> Tensor:
    """Long waves are slowed down by `factor`, short ones stay, those between are interpolated."""
    turns = scaling.original_context * freqs / (2 * math.pi)
    smooth = ((turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)).clamp(0, 1)
    return freqs * (smooth + (1 - smooth) / scaling.factor)


def table(shape: Shape) -> tuple[Tensor, Tensor]:
    """cos and sin, each [T, C], fp32."""
    return turns(frequencies(shape), shape.context)


def turns(frequencies: Tensor, context: int) -> tuple[Tensor, Tensor]:
    """The same of these frequencies, [C/2]."""
    angles = torch.outer(torch.arange(context, dtype=torch.float32, device="cpu"), frequencies)
    angles = torch.cat((angles, angles), -1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x [..., T, C] turned by its positions; `cos` and `sin` broadcast to it and are of its type."""
    if torch.is_grad_enabled():
        return cast(Tensor, _Rotate.apply(x, cos, sin))
    return _turned(x, cos, sin, 1)


def _turned(x: Tensor, cos: Tensor, sin: Tensor, direction: int) -> Tensor:
    half = x.shape[-1] // 2
    out = x * cos
    out[..., :half].addcmul_(x[..., half:], sin[..., :half], value=-direction)
    out[..., half:].addcmul_(x[..., :half], sin[..., half:], value=direction)
    return out


class _Rotate(torch.autograd.Function):
    """The gradient is turned back; PyTorch's own would keep the halves, swap them and add them up."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned(x, cos, sin, 1)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors  # both halves of a row are alike
        return _turned(upstream[0], cos, sin, -1), None, None
