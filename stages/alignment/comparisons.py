"""Rendered preferences as a training reads them: prompts with their answers, which of these is better, in an order that a seed gives.

In: an artifact of `render_preferences`, the vocabulary of the model that reads them. Out: `Comparison`s. Pairs that come from one order of
several answers are one comparison: each of its answers goes through the model once, and together they count as much as a pair alone
(Ouyang et al. 2022, section 3.4). Everything is held in memory, four bytes a token.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from models.alignment.preference import Answer
from models.transformer.shape import Shape
from models.transformer.world import World
from stages.alignment.render_preferences import RENDERED
from stages.compute import Compute
from stages.pretraining.batches import share
from stages.pretraining.micro import micro_rows
from stages.stage import Input
from stages.tokens.split import TRAIN, VALIDATION
from stages.tokens.vocabulary import Vocabulary
from storage.problem import Problem
from storage.shards import read_parquet


@dataclass(frozen=True)
class Comparison:
    answers: tuple[Answer, ...]
    """Different ones, to one prompt."""
    pairs: tuple[tuple[int, int], ...]
    """Places of the better and the worse answer."""
    margins: tuple[float | None, ...]
    """Of each pair."""
    ids: tuple[str, ...]
    """Of each pair."""

    @property
    def length(self) -> int:
        """Tokens of the longest answer with its prompt."""
        return max(len(one.prompt) + len(one.completion) for one in self.answers)


@dataclass(frozen=True)
class Comparisons:
    train: list[Comparison]
    held_out: list[Comparison]
    digest: str
    """Of what they say, for checkpoints."""

    def training(self, place: int, count: int, seed: int) -> list[Comparison]:
        """Those at `place` and the following places, in the order of training: all of them, in a new order each time."""
        size = len(self.train)
        return [self.train[_order(size, seed, at // size)[at % size]] for at in range(place, place + count)]


@lru_cache(maxsize=2)
def _order(size: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(size)


def comparisons(given: Input, known: Vocabulary, context: int, ranked: bool) -> Comparisons:
    """`ranked`: whether pairs of one order become one comparison. Raises Problem where there is nothing to train on, or tokens are not
    the model's."""
    parts: dict[str, list[Comparison]] = {TRAIN: [], VALIDATION: []}
    for path in given.shards:
        rows = kept(given, path.name, known)
        for split, found in parts.items():
            mine = rows.filter(pl.col("split") == split)
            alone = mine if not ranked else mine.filter(pl.col("ranking").is_null())
            found += [_comparison([row]) for row in alone.iter_rows(named=True)]
            if ranked:
                orders = mine.filter(pl.col("ranking").is_not_null()).group_by("ranking", maintain_order=True)
                found += [_comparison(order.to_dicts()) for _, order in orders]
    if not parts[TRAIN]:
        raise Problem(
            f"found no pair to learn from in {given.folder}; expected rows of `render_preferences` with the split train that are not dropped"
        )
    longest = max(one.length for some in parts.values() for one in some)
    if longest > context:
        raise Problem(
            f"a prompt with its answer has {longest} tokens, the model's context is {context}; render the preferences with row_length {context}"
        )
    return Comparisons(parts[TRAIN], parts[VALIDATION], _digest([*parts[TRAIN], *parts[VALIDATION]]))


def kept(given: Input, name: str, known: Vocabulary) -> pl.DataFrame:
    """Rows of a shard that are not dropped. Raises Problem where they are of another tokenizer or of another kind."""
    try:
        rows = read_parquet(str(given.folder / name), [*RENDERED, "reason"], kept=True)
    except (pa.ArrowInvalid, OSError, ValueError) as error:
        raise Problem(f"cannot read {name}: {error}. Expected an artifact of the stage `render_preferences`") from error
    if len(other := rows.filter(pl.col("vocabulary") != known.digest)["vocabulary"]):
        raise Problem(
            f"{name} was rendered with another tokenizer: vocabulary {other[0]}, the model's is {known.digest}; render it with that"
        )
    return rows


def answers_of(row: Mapping[str, Any]) -> tuple[Answer, Answer]:
    """The chosen and the rejected one."""
    prompt = np.asarray(row["prompt_tokens"], np.int32)
    chosen, rejected = (
        Answer(prompt, np.asarray(row[f"{side}_tokens"], np.int32), np.asarray(row[f"{side}_mask"], np.bool_))  # type: ignore[arg-type]
        for side in ("chosen", "rejected")
    )
    return chosen, rejected


def _comparison(rows: Sequence[Mapping[str, Any]]) -> Comparison:
    places: dict[bytes, int] = {}
    found: list[Answer] = []
    pairs = []
    for row in rows:
        at = []
        for one in answers_of(row):
            at.append(places.setdefault(np.asarray(one.completion).tobytes(), len(found)))
            if at[-1] == len(found):
                found.append(one)
        pairs.append((at[0], at[1]))
    return Comparison(tuple(found), tuple(pairs), tuple(row["margin"] for row in rows), tuple(row["id"] for row in rows))


def _digest(every: Sequence[Comparison]) -> str:
    hashed = hashlib.sha256()
    for one in every:
        hashed.update(repr((one.ids, one.pairs, one.margins)).encode())
        for answer in one.answers:
            hashed.update(np.asarray(answer.prompt).tobytes() + b"|" + np.asarray(answer.completion).tobytes())
    return hashed.hexdigest()[:16]


def cut(some: Sequence[Comparison], shape: Shape, compute: Compute, world: World) -> list[list[Comparison]]:
    """This process's share in micro-batches, the longest first; see `compute.micro_rows`, which here counts answers."""
    mine = sorted(some[share(len(some), world)], key=lambda one: -one.length)
    out: list[list[Comparison]] = []
    while mine:
        most = compute.micro_rows or micro_rows(shape, mine[0].length, world.device)
        count = taken = 0
        while count < len(mine) and (not count or taken + len(mine[count].answers) <= most):
            taken += len(mine[count].answers)
            count += 1
        out.append(mine[:count])
        mine = mine[count:]
    return out


def spread(some: Sequence[Comparison], most: int) -> list[Comparison]:
    """`most` of them from beginning to end: what lies side by side is often of one kind."""
    return [some[place * len(some) // most] for place in range(min(most, len(some)))] if most < len(some) else list(some)
