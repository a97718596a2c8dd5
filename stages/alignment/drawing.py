"""What every reinforcement from verifiable rewards has: prompts in their order, answers drawn from the policy as it is, rewards, a journal.

Each process has prompts of its own, in another order each epoch, and asks a share of a round's. A round's rollouts become rows of JOURNAL,
the columns of stages/alignment/rollout.py and

| column | type | meaning |
|---|---|---|
| step | i64 | updates that the policy had had |
| reward | f64 | the weighted sum |
| reward_NAME | f64 | of each reward function |
| advantage | f64 | null where the method has none |
| used | bool | whether the answer was learnt from |

They lie in `.rollouts` while training goes on, a file for each round, and in `rollouts-00000.parquet` and on when it has ended.

Conventions: answers are drawn with top_p 1, top_k 0 and no penalty; log-probabilities are those at the temperature; KL is in nats, summed
over the tokens of an answer, against the model that training began with; entropy is in nats per token, the mean of -log p of what was drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from pydantic import Field
from torch import Tensor

from models.alignment.kl import k3
from models.transformer.train import Row
from models.transformer.world import World
from stages.alignment.prompts import Prompt, Selection
from stages.alignment.rewards import Reward
from stages.alignment.rollout import ROLLOUT, Rollout, columns, table
from stages.posttraining.fine_tuning import Moves
from stages.pretraining.metrics import METRICS
from stages.tokens.shuffle import key, shuffled
from storage.problem import Problem
from storage.shards import encode

SHARD = 16_384
"""Rows of a file of rollouts, at least."""
ROUNDS = ".rollouts"
ENDS = 0.1
"""Share of the steps at the beginning, and at the end, whose mean reward is a stage's figure."""
JOURNAL: dict[str, pl.DataType] = ROLLOUT | {
    "step": pl.Int64(),
    "reward": pl.Float64(),
    "advantage": pl.Float64(),
    "used": pl.Boolean(),
}
DRAWN: dict[str, pl.DataType] = {
    **{name: METRICS[name] for name in ("step", "tokens", "loss", "lr", "grad_norm", "tokens_per_second")},
    "reward": pl.Float64(),  # of all that was drawn in the round, as are the following
    "accuracy": pl.Float64(),  # share of right answers: the reward `answer`
    "kl": pl.Float64(),  # nats per answer, k3; of one answer to each prompt where the divergence is no part of the loss
    "entropy": pl.Float64(),  # nats per token
    "length": pl.Float64(),  # tokens
    "finished": pl.Float64(),  # share that ended their turn
    "rollouts": pl.Float64(),  # drawn so far
    "drawing": pl.Float64(),  # share of the step's time that drawing and rewarding took; of the clock
}


class Drawn(Moves):
    """How a policy is asked, and how its weights are moved."""

    steps: int = Field(200, ge=1)
    """Updates of the weights."""
    prompts: int = Field(8, ge=1)
    """Prompts of a round, over all processes."""
    select: Selection = Selection(split="train")
    """Which problems are asked."""
    tokens: int = Field(128, ge=1)
    """Longest answer."""
    temperature: float = Field(1.0, gt=0)
    """At which answers are drawn, and their log-probabilities taken."""
    at_once: int = Field(64, ge=1)
    """Answers that are drawn at a time: sums round differently in another company."""
    matrix_rate: float = Field(default=1e-3, ge=0)
    """Peak learning rate of Muon."""
    rate: float = Field(default=1e-4, ge=0)
    """Peak learning rate of AdamW."""
    embedding_rate: float = Field(default=1e-4, ge=0)
    """Peak learning rate of AdamW for embeddings, where Muon moves the matrices."""
    warmup: float = Field(default=0.0, ge=0, le=1)
    """Share of the steps over which the rates rise."""
    decay: float = Field(default=1.0, ge=0, le=1)
    """Share of the steps over which the rates of a constant schedule fall."""
    floor: float = Field(default=0.05, ge=0, le=1)
    """Share of the peak rates that is left at the end."""
    dtype: Literal["bf16", "fp32"] = "fp32"
    """Type of the mathematics. In bf16 what draws and what learns differ in their probabilities: see `gap` in the metrics."""
    spike: float = Field(default=0.0, ge=0)
    """Stop where the loss exceeds the median of the last 64 steps by so many nats; 0: never, for the loss of a policy says little."""


class Verified(Drawn):
    """How often a policy is asked the same, and how its answers are rewarded."""

    prompts: int = Field(16, ge=1)
    """Prompts of a round, over all processes: few make a gradient that is mostly chance, of which Muon takes whole steps."""
    samples: int = Field(8, ge=1)
    """Answers to each."""
    rewards: dict[str, float] = Field({"answer": 1.0, "format": 0.1}, min_length=1)
    """Weight of each reward: answer, format, length, or module:function of your own."""
    soft: int = Field(32, ge=1)
    """Tokens before the longest answer from which on the reward `length` falls."""


@dataclass
class Source:
    """Prompts without end, each epoch in another order."""

    prompts: Sequence[Prompt]
    seed: int
    place: int = 0

    def take(self, count: int) -> list[Prompt]:
        epochs, places = np.divmod(np.arange(self.place, self.place + count), len(self.prompts))
        self.place += count
        return [
            self.prompts[int(shuffled(places[at : at + 1], len(self.prompts), key(self.seed, int(epoch)))[0])]
            for at, epoch in enumerate(epochs)
        ]


@dataclass
class Rewarded:
    """A rollout with what it earned."""

    rollout: Rollout
    rewards: dict[str, float]
    """Of each function."""
    reward: float
    advantage: float | None = None
    used: bool = False


def rewarded(rollouts: Sequence[Rollout], functions: Mapping[str, Reward], weights: Mapping[str, float]) -> list[Rewarded]:
    told = columns(rollouts)
    asked, said = [one.prompt.text for one in rollouts], [one.text for one in rollouts]
    found = {name: _finite(name, function(asked, said, **told), len(rollouts)) for name, function in functions.items()}
    return [
        Rewarded(
            one, mine := {name: values[at] for name, values in found.items()}, sum(weights[name] * mine[name] for name in mine)
        )
        for at, one in enumerate(rollouts)
    ]


def _finite(name: str, given: Any, count: int) -> list[float]:
    """What a function gave. Raises Problem where that is no reward for each answer."""
    try:
        values = [float(value) for value in given]
    except (TypeError, ValueError) as error:
        raise Problem(
            f"the reward {name} gave {given!r:.80} ({error}); expected a number for each of the {count} answers"
        ) from error
    if len(values) != count:
        raise Problem(f"the reward {name} gave {len(values)} values; expected one for each of the {count} answers")
    if odd := [value for value in values if not math.isfinite(value)]:
        raise Problem(f"the reward {name} gave {odd[0]} for {len(odd)} of {count} answers; expected finite numbers")
    return values


@dataclass
class Journal:
    """Rollouts on disk, round by round; rank 0 writes."""

    out: Path
    world: World
    temperature: float
    names: Sequence[str]
    """Of the rewards."""

    @property
    def columns(self) -> dict[str, pl.DataType]:
        return JOURNAL | {f"reward_{name}": pl.Float64() for name in self.names}

    def round(self, step: int, answers: Sequence[Rewarded]) -> None:
        mine = table([one.rollout for one in answers], self.temperature).with_columns(
            step=pl.lit(step, pl.Int64()),
            reward=pl.Series([one.reward for one in answers], dtype=pl.Float64()),
            advantage=pl.Series([one.advantage for one in answers], dtype=pl.Float64()),
            used=pl.Series([one.used for one in answers], dtype=pl.Boolean()),
            **{f"reward_{name}": pl.Series([one.rewards[name] for one in answers], dtype=pl.Float64()) for name in self.names},
        )
        if tables := self.world.gather(mine):
            path = self.out / ROUNDS / f"step-{step:09}.parquet"
            path.parent.mkdir(exist_ok=True)
            unfinished = path.with_suffix(".partial")
            unfinished.write_bytes(encode(pl.concat(tables), self.columns))
            unfinished.replace(path)

    def close(self) -> None:
        """Rounds become shards."""
        held: list[pl.DataFrame] = []
        shards = 0
        paths = sorted((self.out / ROUNDS).glob("step-*.parquet"))
        for path in paths:
            held.append(pl.read_parquet(path))
            if sum(one.height for one in held) >= SHARD or path == paths[-1]:
                (self.out / f"rollouts-{shards:05}.parquet").write_bytes(encode(pl.concat(held), self.columns))
                held, shards = [], shards + 1


@dataclass
class Told:
    """The figures of rounds, over all processes; part of a checkpoint."""

    rollouts: float = 0.0
    figures: Row = field(default_factory=dict)

    def round(self, answers: Sequence[Rewarded], reference: Mapping[int, Tensor], world: World) -> None:
        """`reference`: place of an answer -> log-probabilities of its tokens under the reference; of one answer at least."""
        drawn = [torch.tensor(one.rollout.completion.logprobs) for one in answers]
        sums = {
            "answers": float(len(answers)),
            "tokens": float(sum(map(len, drawn))),
            "reward": sum(one.reward for one in answers),
            "finished": float(sum(one.rollout.finished for one in answers)),
            "entropy": -float(sum(one.double().sum() for one in drawn)),
            "kl": float(sum(k3(drawn[place], values).double().sum() for place, values in reference.items())),
            "compared": float(len(reference)),
            "accuracy": sum(one.rewards.get("answer", 0.0) for one in answers),
        }
        for name in answers[0].rewards:
            sums[f"reward_{name}"] = sum(one.rewards[name] for one in answers)
        values = world.total(torch.tensor(list(sums.values()), dtype=torch.float64, device=world.device)).tolist()
        total = dict(zip(sums, values, strict=True))
        count, tokens, compared = (total.pop(name) for name in ("answers", "tokens", "compared"))
        self.rollouts += count
        self.figures = {name: value / count for name, value in total.items()}
        self.figures |= {"kl": total["kl"] / compared, "entropy": total["entropy"] / tokens}
        self.figures |= {"length": tokens / count, "rollouts": self.rollouts}
        if "answer" not in answers[0].rewards:
            del self.figures["accuracy"]

    def state(self) -> dict[str, Any]:
        return {"rollouts": self.rollouts, "figures": self.figures}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.rollouts, self.figures = state["rollouts"], dict(state["figures"])


def ends(rows: Sequence[Row], names: Sequence[str]) -> dict[str, float]:
    """Means of the first and the last steps."""
    told = rows[1:]
    size = max(1, round(ENDS * len(told)))
    found = {}
    for name in names:
        for when, some in (("first", told[:size]), ("last", told[-size:])):
            if values := [row[name] for row in some if name in row]:
                found[f"{name}_{when}"] = sum(values) / len(values)
    return found
