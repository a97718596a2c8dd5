"""Rows of conversations as a fine-tuning reads them: tokens, targets where something is learnt, and where each may look.

In: an artifact of `layout`, a hidden folder for what is decoded, weights by source, a seed. Out: `Supervised` for any place, a pure
function of these, as of the rows of pretraining (stages/tokens/rows.py), which does the reading and the order. The mask is held in
memory, a byte a token.

B rows, T positions; a row has T + 1 tokens: x = row[:-1], y = row[1:].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stages.stage import Input
from stages.tokens.mapped import Mapped
from stages.tokens.rows import IGNORED, Rows, documents, taken, targets
from stages.tokens.split import TRAIN, VALIDATION
from storage.shards import read_parquet

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Supervised:
    """All [B, T]."""

    tokens: I64
    targets: I64
    """What follows each position; IGNORED where that is not learnt."""
    segments: I64
    """Number of each position's conversation in its row; -1 in padding. For `models.transformer.segments.segment_mask`."""
    positions: I64
    """Place of each position in its conversation; 0 in padding."""


class ChatRows:
    def __init__(self, laid: Input, cache: Path, weights: Mapping[str, float], seed: int) -> None:
        self.rows = Rows(laid, cache, weights, seed)
        self.masks = {split: _mask(laid, split, self.rows.row_length) for split in (TRAIN, VALIDATION)}

    @property
    def validation_count(self) -> int:
        return self.rows.validation_count

    def training(self, place: int, count: int) -> Supervised:
        """Rows at `place` and the following places, in the order of training."""
        return _supervised(self.rows.train, self.masks[TRAIN], self.rows.order.rows(np.arange(place, place + count)))

    def validation(self, first: int, count: int) -> Supervised:
        """In the order in which they were laid out; fewer where there are no more."""
        held = self.rows.held_out
        return _supervised(held, self.masks[VALIDATION], np.arange(first, min(first + count, len(held))))


def _mask(laid: Input, split: str, row_length: int) -> npt.NDArray[np.bool_]:
    """[N, T + 1], in the order in which the rows are mapped."""
    paths = [laid.folder / name for name in sorted(laid.names) if name.startswith(f"{split}-")]
    parts = [read_parquet(str(path), ["mask"])["mask"].explode().to_numpy() for path in paths]
    return np.concatenate([np.empty(0, np.bool_), *parts]).astype(np.bool_).reshape(-1, row_length + 1)


def _supervised(part: Mapped, mask: npt.NDArray[np.bool_], rows: I64) -> Supervised:
    tokens, used = taken(part, rows)
    number, place = documents(part, rows)
    learnt = np.where(mask[rows][:, 1:], targets(tokens, used), IGNORED)
    return Supervised(tokens[:, :-1].astype(np.int64), learnt, number.astype(np.int64), np.maximum(place, 0).astype(np.int64))
