"""What a fine-tuning learns from, as micro-batches: rows of conversations, or rows of plain text as pretraining reads them.

Conversations are computed each as if it stood alone: attention ends at their borders and positions begin anew; the loss is on what the
assistant says. Text is read as in pretraining: attention and positions go on over borders, every token is learnt.

B rows, T positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor

from models.transformer.loss import IGNORED
from models.transformer.segments import segment_mask
from models.transformer.world import World
from stages.posttraining.layout import LAID
from stages.posttraining.rows import ChatRows, Supervised
from stages.pretraining.batches import Batch, batches, share
from stages.stage import Input
from stages.tokens.pack import PACKED
from stages.tokens.rows import Rows, targets
from storage.problem import Problem


class Material(Protocol):
    @property
    def rows(self) -> Rows: ...

    def training(self, place: int, count: int, micro_rows: int, world: World) -> tuple[list[Batch], int]:
        """This process's micro-batches of the rows at `place` and the following places; the supervised tokens of all processes'."""
        ...

    def validation(self, count: int, micro_rows: int, world: World) -> Iterator[Batch]:
        """This process's share of the first `count` held-out rows."""
        ...


class Chats:
    def __init__(self, chats: ChatRows) -> None:
        self.chats = chats

    @property
    def rows(self) -> Rows:
        return self.chats.rows

    def training(self, place: int, count: int, micro_rows: int, world: World) -> tuple[list[Batch], int]:
        found = self.chats.training(place, count)
        return list(_chat_batches(found, share(count, world), micro_rows, world.device)), int((found.targets != IGNORED).sum())

    def validation(self, count: int, micro_rows: int, world: World) -> Iterator[Batch]:
        found = self.chats.validation(0, count)
        return _chat_batches(found, share(len(found.tokens), world), micro_rows, world.device)


class Texts:
    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def training(self, place: int, count: int, micro_rows: int, world: World) -> tuple[list[Batch], int]:
        tokens, used = self.rows.training(place, count)
        mine = share(count, world)
        found = batches(tokens[mine], used[mine], micro_rows, None, world.device)
        return list(found), int((targets(tokens, used) != IGNORED).sum())

    def validation(self, count: int, micro_rows: int, world: World) -> Iterator[Batch]:
        tokens, used = self.rows.validation(0, count)
        mine = share(len(tokens), world)
        return batches(tokens[mine], used[mine], micro_rows, None, world.device)


def _chat_batches(rows: Supervised, mine: slice, micro_rows: int, device: torch.device) -> Iterator[Batch]:
    for first in range(mine.start, mine.stop, micro_rows):
        some = slice(first, min(first + micro_rows, mine.stop))
        tokens, targets, segments, positions = (
            _on(one[some], device) for one in (rows.tokens, rows.targets, rows.segments, rows.positions)
        )
        yield Batch(tokens, targets, segment_mask(segments), positions)


def _on(values: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(values).to(device, non_blocking=True)


def material(given: Input, cache: Path, weights: Mapping[str, float], seed: int) -> Material:
    """Of an artifact of `layout` or of `pack`. Raises Problem where it is neither, or has no row to train on."""
    train = [path for path in given.shards if path.name.startswith("train-")]
    columns = set(pq.read_schema(train[0]).names) if train else set()
    if "packing.json" not in given.names or (train and not PACKED.keys() <= columns):
        raise Problem(
            f"{given.folder} holds {', '.join(given.names[:5])}; expected rows of conversations (layout) or of text (pack)"
        )
    if not train:
        raise Problem(f"found no row to train on in {given.folder}, expected one at least; give conversations that are not empty")
    if LAID.keys() <= columns:
        return Chats(ChatRows(given, cache, weights, seed))
    return Texts(Rows(given, cache, weights, seed))
