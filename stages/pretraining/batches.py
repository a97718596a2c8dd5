"""Packed rows as a model takes them: what it reads, what it is to predict, where it may look.

B rows, T positions.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.transformer.loss import IGNORED
from models.transformer.world import World


@dataclass(frozen=True)
class Batch:
    tokens: Tensor
    """[B, T]"""
    targets: Tensor
    """[B, T]: the token that follows each; IGNORED where that is padding."""
    mask: Tensor | None
    """[B, 1, T, T] bool, True = may look; None: at everything before."""
    positions: Tensor | None = None
    """[B, T]; None: 0 .. T-1."""


def batches(
    rows: npt.NDArray[np.int32], used: npt.NDArray[np.int32], micro_rows: int, start: int | None, device: torch.device
) -> Iterator[Batch]:
    """`rows` [N, T+1], of which the first `used` [N] tokens are not padding. `start`: the token that begins a document and that attention
    does not look behind; None: attention crosses borders."""
    for first in range(0, len(rows), micro_rows):
        some = slice(first, first + micro_rows)
        tokens = torch.from_numpy(rows[some].astype(np.int64))
        inside = torch.arange(1, tokens.shape[1]) < torch.from_numpy(used[some].astype(np.int64))[:, None]
        targets_BT = tokens[:, 1:].masked_fill(~inside, IGNORED)
        tokens_BT = tokens[:, :-1].contiguous()
        mask = None if start is None else document_mask(tokens_BT, start)
        yield Batch(
            tokens_BT.to(device, non_blocking=True),
            targets_BT.to(device, non_blocking=True),
            None if mask is None else mask.to(device, non_blocking=True),
        )


def document_mask(tokens_BT: Tensor, start: int) -> Tensor:
    """[B, 1, T, T]: True where a position may look: back, as far as the beginning of its own document."""
    T = tokens_BT.shape[1]
    document_BT = (tokens_BT == start).cumsum(1)
    same = document_BT[:, None, :, None] == document_BT[:, None, None, :]
    return same & torch.ones(T, T, dtype=torch.bool).tril()


def share(count: int, world: World) -> slice:
    """Which of `count` rows are this process's: runs of rows, as equal as they can be."""
    return slice(count * world.rank // world.size, count * (world.rank + 1) // world.size)
