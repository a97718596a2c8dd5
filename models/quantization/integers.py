"""A matrix as small integers with a scale for each group of a row: what int4 and int8 kernels multiply.

In: a weight [O, I], a grid. Out: `Codes`: levels -2^(bits-1) .. 2^(bits-1)-1, and scales that fp16 holds; their product is the
weight. Symmetric: zero is a level. A group's scale is the one of `SHRINKS` times the obvious one (largest / top) under which the
group's error is least; the error is |difference|^2.4, as in GPTQ's implementation.

O outputs, I inputs, G numbers of a group, N groups.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.unusable import Unusable

SHRINKS = tuple(1 - 0.03 * step for step in range(14))
NORM = 2.4


@dataclass(frozen=True)
class Grid:
    bits: int = 4
    group_size: int = 128
    """Inputs that share a scale; 0: all of a row."""

    def __post_init__(self) -> None:
        if self.bits not in (4, 8):
            raise Unusable(f"weights of {self.bits} bits; expected 4 or 8")

    @property
    def top(self) -> int:
        return int(2 ** (self.bits - 1))

    def group(self, inputs: int) -> int:
        size = self.group_size or inputs
        if inputs % size:
            raise Unusable(
                f"a row of {inputs} numbers in groups of {size}; expected a multiple: choose another group_size, or 0 for whole rows"
            )
        return size


@dataclass(frozen=True)
class Codes:
    levels: Tensor
    """int8 [O, I]."""
    scales: Tensor
    """fp32 [O, I/G], of values that fp16 holds."""

    def weight(self) -> Tensor:
        """fp32 [O, I]."""
        outputs, inputs = self.levels.shape
        groups = self.levels.float().view(outputs, self.scales.shape[1], -1)
        return (groups * self.scales[..., None]).view(outputs, inputs)


def scales(groups_NG: Tensor, grid: Grid) -> Tensor:
    """fp32 [N], of each group."""
    largest_N = groups_NG.abs().amax(-1).clamp_min(1e-7)
    best_N, least_N = largest_N, torch.full_like(largest_N, torch.inf)
    for shrink in SHRINKS:
        tried_N = _half(largest_N * (shrink / (grid.top - 1)))
        error_N = (levels(groups_NG, tried_N[:, None], grid) * tried_N[:, None] - groups_NG).abs().pow(NORM).sum(-1)
        better_N = error_N < least_N
        best_N, least_N = torch.where(better_N, tried_N, best_N), torch.where(better_N, error_N, least_N)
    return best_N


def _half(numbers: Tensor) -> Tensor:
    """As fp16 holds them, never zero."""
    if not torch.isfinite(numbers.half()).all():
        raise Unusable("a matrix holds numbers that are not finite, or too large for fp16; expected the weights of a sound model")
    return numbers.half().clamp_min(2**-24).float()


def levels(x: Tensor, scale: Tensor, grid: Grid) -> Tensor:
    """Whole numbers, as floats."""
    return (x / scale).round().clamp(-grid.top, grid.top - 1)


def round_to_nearest(weight_OI: Tensor, grid: Grid) -> Codes:
    """Without a look at any text."""
    outputs, inputs = weight_OI.shape
    groups_NG = weight_OI.float().reshape(-1, grid.group(inputs))
    scales_N = scales(groups_NG, grid)
    return Codes(levels(groups_NG, scales_N[:, None], grid).to(torch.int8).view(outputs, inputs), scales_N.view(outputs, -1))
