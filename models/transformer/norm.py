"""RMSNorm (Zhang and Sennrich 2019), or LayerNorm for GPT-2; the learnt weights stay fp32.

PyTorch has a kernel for RMSNorm on CUDA alone; on CPUs its composite passes over memory a dozen times where gradients are kept, this
one seven times.

D width.
"""

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.transformer.shape import Shape


class Norm(nn.Module):
    def __init__(self, width: int, shape: Shape) -> None:
        super().__init__()
        self.eps = shape.eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if shape.family == "gpt2" else None

    def forward(self, x: Tensor) -> Tensor:
        if self.bias is None and x.device.type == "cpu" and torch.is_grad_enabled():
            return cast(Tensor, _RmsNorm.apply(x, self.weight, self.eps))
        weight = self.weight.to(x.dtype)
        if self.bias is not None:
            return F.layer_norm(x, weight.shape, weight, self.bias.to(x.dtype), self.eps)
        return F.rms_norm(x, weight.shape, weight, self.eps)


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_D: Tensor, eps: float) -> Tensor:
        wide = torch.promote_types(x.dtype, torch.float32)
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=wide)
        scale = torch.rsqrt(length * length / x.shape[-1] + eps)
        normed = (x * scale).to(x.dtype)
        ctx.save_for_backward(normed, scale, weight_D)
        return normed * weight_D.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, None]:
        normed, scale, weight_D = ctx.saved_tensors
        (up,) = upstream
        weight = weight_D.to(up.dtype)
        along = up * normed
        weight_grad_D = along.flatten(0, -2).sum(0, dtype=weight_D.dtype)
        share = (along @ weight[:, None]) / len(weight)  # how much of the gradient only lengthens x
        x_grad = torch.addcmul(up * weight, normed, share, value=-1).mul_(scale)
        return x_grad, weight_grad_D, None
