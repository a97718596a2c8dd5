"""Packed rows as a training reads them: a mixture in its order, validation rows as they come.

In: the artifact of `pack`, a hidden folder for what is decoded (`mapped.py`), weights by corpus, a seed. Everything that `Rows` gives is a
function of these and of a place, so a training goes on from a number, and each of several processes asks for its own places.

B rows, T positions; a row has T + 1 tokens: x = row[:-1], y = row[1:].
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stages.stage import Input
from stages.tokens.mapped import Mapped, about, mapped, shards_digest
from stages.tokens.order import order
from stages.tokens.split import TRAIN, VALIDATION
from storage.problem import Problem

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

IGNORED = -1
"""The target where there is nothing to predict, as in models.transformer.loss."""


class Rows:
    """Raises Problem on a damaged shard, on no row to train on, and on weights that are not one for each corpus."""

    def __init__(self, packed: Input, cache: Path, weights: Mapping[str, float], seed: int) -> None:
        found = about(packed)
        self.row_length: int = found["row_length"]
        self.size: int = found["size"]
        self.start: int | None = found["start"]
        self.pad: int = found["pad"]
        self.vocabulary: str = found["vocabulary"]
        """Digest of what ids stand for, to compare with that of a tokenizer."""
        self.digest = shards_digest(packed)
        """Proves that two trainings read the same rows."""
        parts = mapped(packed, cache, self.digest, self.row_length + 1, self.size)
        self.train, self.held_out = parts[TRAIN], parts[VALIDATION]
        if not len(self.train):
            raise Problem(f"found no row to train on in {packed.folder}, expected one at least; pack a corpus that is not empty")
        self.order = order(seed, self.train.sources, weights)

    @property
    def validation_count(self) -> int:
        return len(self.held_out)

    def training(self, place: int, count: int) -> tuple[I32, I32]:
        """Rows [count, T + 1] at `place` and the following places, and how many of their tokens are not padding, [count]."""
        return taken(self.train, self.order.rows(np.arange(place, place + count)))

    def validation(self, first: int, count: int) -> tuple[I32, I32]:
        """As `training`, in the order in which they were packed; fewer where there are no more."""
        return taken(self.held_out, np.arange(first, min(first + count, len(self.held_out))))

    def epochs(self, place: int) -> dict[str, float]:
        """How often the rows of each corpus were seen before `place`, on average."""
        return self.order.epochs(place)


def taken(part: Mapped, rows: I64) -> tuple[I32, I32]:
    """Tokens [B, T + 1] and used [B] of any rows."""
    return part.tokens[rows].astype(np.int32), part.used[rows]


def targets(tokens: I32, used: I32) -> I64:
    """What follows each position, [B, T]; IGNORED where that is padding."""
    inside = np.arange(1, tokens.shape[1]) < used[:, None]
    return np.where(inside, tokens[:, 1:], IGNORED).astype(np.int64)


def documents(part: Mapped, rows: I64) -> tuple[I32, I32]:
    """The number of each position's document in its row, from 0, and the position's place in that document, both [B, T]; -1 at padding.

    Attention within documents is: position i may look at j <= i where both numbers are equal.
    """
    T = part.tokens.shape[1] - 1
    begins = np.zeros((len(rows), T + 1), np.bool_)
    for b, row in enumerate(rows.tolist()):
        begins[b, part.starts[part.first[row] : part.first[row + 1]]] = True
    at = np.arange(T + 1, dtype=np.int32)
    number = np.cumsum(begins, 1, dtype=np.int32) - 1
    place = at - np.maximum.accumulate(np.where(begins, at, 0), 1)
    padding = at >= part.used[rows][:, None]
    number[padding], place[padding] = -1, -1
    return number[:, :T], place[:, :T]
