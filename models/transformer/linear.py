"""A matrix whose weights stay fp32 (the masters that the optimizer moves) while the product is computed in the type of the input."""

import torch.nn.functional as F
from torch import Tensor, nn


class Linear(nn.Linear):
    def __init__(self, inputs: int, outputs: int, bias: bool = False) -> None:
        super().__init__(inputs, outputs, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype), None if self.bias is None else self.bias.to(x.dtype))
