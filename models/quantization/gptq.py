"""GPTQ: one column after the other is rounded, and those that follow make up for its error as the text asks for.

In: a weight [O, I], the products of its inputs X^T X [I, I], a grid. Out: Codes. Columns are taken in their order; a group's
scale is found when its first column's turn comes, from what the columns before have made of it. Inputs that are always zero have
weight zero.

Source: Frantar et al. 2022, "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", algorithm 1.

O outputs, I inputs, G numbers of a group, P inputs of a block.
"""

import torch
from torch import Tensor

from models.quantization.integers import Codes, Grid, levels, scales
from models.unusable import Unusable

DAMPING = 0.01
"""Of the mean of the diagonal, added to it."""
BLOCK = 128
"""Columns whose errors are gathered before they reach the rest of the matrix."""


def gptq(weight_OI: Tensor, products_II: Tensor, grid: Grid) -> Codes:
    weight = weight_OI.double().clone()
    outputs, inputs = weight.shape
    size = grid.group(inputs)
    dead_I = products_II.diagonal() == 0
    weight[:, dead_I] = 0
    upper_II = _inverse(products_II.double(), dead_I)
    found_OI, scales_ON = torch.zeros_like(weight), torch.zeros(outputs, inputs // size)
    scale_O = torch.ones(outputs, dtype=torch.float64)
    for first in range(0, inputs, BLOCK):
        last = min(first + BLOCK, inputs)
        block_OP, errors_OP = weight[:, first:last].clone(), torch.zeros(outputs, last - first, dtype=torch.float64)
        for at in range(last - first):
            column = first + at
            if column % size == 0:
                group = torch.cat((block_OP[:, at : at + size], weight[:, last : column + size]), 1)
                scales_ON[:, column // size] = scales(group.float(), grid)
                scale_O = scales_ON[:, column // size].double()
            found_OI[:, column] = levels(block_OP[:, at], scale_O, grid)
            errors_OP[:, at] = (block_OP[:, at] - found_OI[:, column] * scale_O) / upper_II[column, column]
            block_OP[:, at:] -= errors_OP[:, at, None] * upper_II[column, None, column:last]
        weight[:, last:] -= errors_OP @ upper_II[first:last, last:]
    return Codes(found_OI.to(torch.int8), scales_ON)


def _inverse(products_II: Tensor, dead_I: Tensor) -> Tensor:
    """The upper Cholesky factor of the inverse."""
    damped = products_II.clone()
    damped.diagonal()[dead_I] = 1
    damped.diagonal().add_(DAMPING * damped.diagonal().mean())
    try:
        return torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(damped)), upper=True)
    except torch.linalg.LinAlgError:
        raise Unusable("the inputs of a matrix leave its columns undetermined; give more calibration text") from None
