"""Matrices laid out for products with few rows: weights cast once, several joined, stored as the device likes them.

| stored | where | why |
|---|---|---|
| oneDNN's blocks | CPU, fp32 and bf16 | 80 for 40 GFLOP/s at 16 rows of fp32, 2 to 3 times as fast in bf16 (Zen 4) |
| rows, read by `kernels.product` | CPU, fp32, one row at a time, one thread | 27 for 8 GB/s |
| rows | elsewhere | |
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.transformer import kernels
from models.transformer.linear import Linear


def joined(layers: Sequence[Linear], dtype: torch.dtype, rows: int) -> "Product":
    """Layers that read the same input as one."""
    return Product([layer.weight for layer in layers], [layer.bias for layer in layers], dtype, rows)


class Product(nn.Module):
    """x @ weights joined + biases joined."""

    def __init__(self, weights: Sequence[Tensor], biases: Sequence[Tensor | None], dtype: torch.dtype, rows: int) -> None:
        super().__init__()
        parts = [weight.detach().to(dtype) for weight in weights]
        weight = torch.cat(parts) if len(parts) > 1 else parts[0].contiguous()
        given = [bias.detach().to(dtype) for bias in biases if bias is not None]
        self.bias = torch.cat(given) if given else None
        self.outputs = weight.shape[0]
        self.single = None
        self.blocks = None
        self.weight = weight
        if weight.device.type == "cpu":
            if weight.dtype == torch.float32 and rows == 1 and torch.get_num_threads() == 1:
                self.single = weight.numpy()
            elif _blocks_help(weight.dtype):
                self.blocks = torch.ops.mkldnn._reorder_linear_weight(weight)
                self.weight = None

    def forward(self, x: Tensor) -> Tensor:
        if self.blocks is not None:
            out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.blocks, self.bias, "none", [], "")
        elif self.single is not None and x.numel() == x.shape[-1]:
            out = x.new_empty(*x.shape[:-1], self.outputs)
            kernels.product(self.single, x.view(-1).numpy(), out.view(-1).numpy())
            if self.bias is not None:
                out += self.bias
        else:
            out = F.linear(x, self.weight, self.bias)
        return out


def _blocks_help(dtype: torch.dtype) -> bool:
    if not torch.backends.mkldnn.is_available():
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()))
