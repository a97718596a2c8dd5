"""What the methods that learn from rewards which can be verified share: how they are begun and ended, and how problems are asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import polars as pl
import torch
from torch import nn

from models.transformer.train import Loss, Row
from models.transformer.world import World, joined
from stages.alignment.drawing import DRAWN, Journal, Rewarded, Source, Told, Verified, ends, rewarded
from stages.alignment.policy import Opened, closed, opened, share_of
from stages.alignment.rewards import reward_functions
from stages.alignment.rollout import roll
from stages.compute import Compute
from stages.posttraining.fitting import fit
from stages.pretraining.figures import figures
from stages.pretraining.progress import Progress
from stages.pretraining.start import exact

Settings = TypeVar("Settings", bound=Verified)


class Practice(ABC, Generic[Settings]):
    """A method of models/transformer/train.py; what is learnt from is each one's own."""

    def __init__(self, policy: Opened, config: Settings, compute: Compute, world: World, out: Path) -> None:
        self.policy, self.config, self.world, self.micro = policy, config, world, compute.micro_rows
        self.functions = reward_functions(config.rewards, config.tokens, config.soft)
        self.source = Source(policy.prompts, config.seed)
        self.journal = Journal(out, world, config.temperature, list(config.rewards))
        self.told = Told()
        self.draws = 0
        self.drawing = 0.0
        """Seconds of the last step."""

    def ask(self) -> list[Rewarded]:
        """This process's prompts of a round: `samples` answers to each, side by side."""
        config = self.config
        asked = self.source.take(share_of(config.prompts, self.world))
        rollouts = roll(
            self.policy.model, self.policy.tokenizer, asked, config.samples, config.tokens, config.temperature, config.at_once,
            [config.seed, self.draws],
        )  # fmt: skip
        self.draws += 1
        return rewarded(rollouts, self.functions, config.rewards)

    def total(self, *numbers: float) -> list[float]:
        """Sums over all processes."""
        found: list[float] = self.world.total(torch.tensor(numbers, dtype=torch.float64, device=self.world.device)).tolist()
        return found

    @abstractmethod
    def batches(self, step: int) -> Sequence[Any]: ...

    @abstractmethod
    def loss(self, model: nn.Module, batch: Any) -> Loss: ...

    def observe(self, step: int, seconds: float) -> Row:
        return {**self.told.figures, "drawing": self.drawing / seconds} if step else {}

    def state(self) -> dict[str, Any]:
        return {"place": self.source.place, "draws": self.draws, "told": self.told.state()}

    def restore(self, state: dict[str, Any]) -> None:
        self.source.place, self.draws = state["place"], state["draws"]
        self.told.restore(state["told"])


def practise(
    method: type[Practice[Settings]],
    inputs: Mapping[str, Any],
    out: Path,
    config: Settings,
    compute: Compute,
    own: Mapping[str, pl.DataType],
    names: Sequence[str] = (),
) -> dict[str, Any]:
    """What every process does; the stage's figures. `own`: the method's metrics; `names`: those whose last value is a figure. Raises Problem
    and Unusable."""
    exact(compute)
    with joined(compute.device) as world:
        policy = opened(inputs, config, compute, world)
        columns = DRAWN | {f"reward_{name}": pl.Float64() for name in config.rewards} | dict(own)
        progress = Progress(out, config.steps)
        at_work = method(policy, config, compute, world, out)
        rows = fit(policy.model, at_work, config.over(config.steps), policy.made_of, out, config, compute, world, progress)
        if world.rank == 0:
            closed(out, policy, config, rows, columns)
            at_work.journal.close()
        told = ("kl", "entropy", "length", "finished", "rollouts", *names)
        return figures(policy.model.shape, rows, compute, world, told) | ends(rows, ("reward", "accuracy"))
