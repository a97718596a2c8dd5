"""What every process of rejection sampling does: draw, keep, learn."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import nn

from models.alignment.preference import Answer, Answers, answers
from models.transformer.loss import cross_entropy
from models.transformer.train import Loss, Row
from models.transformer.transformer import Transformer
from models.transformer.world import World, joined
from stages.alignment.drawing import DRAWN, Journal, Rewarded, Source, Told, ends, rewarded
from stages.alignment.policy import Opened, closed, cut, opened, share_of, under_reference
from stages.alignment.rejection import REJECTION_METRICS, RejectionConfig
from stages.alignment.rewards import reward_functions
from stages.alignment.rollout import roll
from stages.compute import Compute
from stages.posttraining.fitting import fit
from stages.pretraining.figures import figures
from stages.pretraining.progress import Progress
from stages.pretraining.start import exact
from storage.problem import Problem

Kept = tuple[list[int], list[int]]
"""Tokens of a prompt and of its answer."""


def work(inputs: Mapping[str, Any], out: Path, config: RejectionConfig, compute: Compute) -> dict[str, Any]:
    """The stage's figures. Raises Problem and Unusable."""
    exact(compute)
    with joined(compute.device) as world:
        policy = opened(inputs, config, compute, world)
        columns = DRAWN | {f"reward_{name}": pl.Float64() for name in config.rewards} | REJECTION_METRICS
        progress = Progress(out, config.steps)
        method = Rejection(policy, config, compute, world, out)
        rows = fit(policy.model, method, config.over(config.steps), policy.made_of, out, config, compute, world, progress)
        if world.rank == 0:
            closed(out, policy, config, rows, columns)
            method.journal.close()
        names = ("kl", "entropy", "length", "finished", "rollouts", "kept")
        return figures(policy.model.shape, rows, compute, world, names) | ends(rows, ("reward", "accuracy"))


class Rejection:
    def __init__(self, policy: Opened, config: RejectionConfig, compute: Compute, world: World, out: Path) -> None:
        self.policy, self.config, self.world, self.micro = policy, config, world, compute.micro_rows
        self.functions = reward_functions(config.rewards, config.tokens, config.soft)
        self.source = Source(policy.prompts, config.seed)
        self.journal = Journal(out, world, config.temperature, list(config.rewards))
        self.told = Told()
        self.draws = 0
        self.kept: list[Kept] = []
        self.drawing = 0.0
        """Seconds of the last step."""

    def batches(self, step: int) -> Sequence[Answers]:
        began = time.perf_counter()
        wanted = share_of(self.config.learnt, self.world)
        self._draw(step, wanted)
        mine, self.kept = self.kept[:wanted], self.kept[wanted:]
        self.drawing = time.perf_counter() - began
        given = [Answer(prompt, tokens) for prompt, tokens in mine]
        pieces = cut(given, self.policy.model, self.micro)
        return [answers([given[at] for at in places]).to(self.world.device) for places in pieces]

    def _draw(self, step: int, wanted: int) -> None:
        """Until every process has as many answers as it needs: what is told and written is that of all of them."""
        config = self.config
        every: list[Rewarded] = []
        for _ in range(config.draws):
            if not self._short(wanted):
                break
            asked = self.source.take(share_of(config.prompts, self.world))
            rollouts = roll(
                self.policy.model, self.policy.tokenizer, asked, config.samples, config.tokens, config.temperature,
                config.at_once, [config.seed, self.draws],
            )  # fmt: skip
            self.draws += 1
            new = rewarded(rollouts, self.functions, config.rewards)
            for first in range(0, len(new), config.samples):
                self._keep(new[first : first + config.samples])
            every += new
        if self._short(wanted):
            raise Problem(
                f"{config.draws} rounds of {config.prompts} x {config.samples} answers gave too few that earn {config.least:g}: expected "
                f"{config.learnt} for an update. Ask easier questions (select.parts), or train the model to answer them first"
            )
        if not every:
            return
        given = [Answer(one.rollout.prompt.tokens, one.rollout.completion.tokens) for one in every]
        places = range(0, len(every), config.samples)
        reference = under_reference(self.policy, given, places, config.temperature, self.micro)
        self.told.round(every, reference, self.world)
        sums = torch.tensor([sum(one.used for one in every), len(every)], dtype=torch.float64, device=self.world.device)
        kept, drawn = self.world.total(sums).tolist()
        self.told.figures["kept"] = kept / drawn
        self.journal.round(step, every)

    def _short(self, wanted: int) -> bool:
        missing = torch.tensor(float(len(self.kept) < wanted), dtype=torch.float64, device=self.world.device)
        return bool(self.world.total(missing))

    def _keep(self, group: Sequence[Rewarded]) -> None:
        """The shortest different good ones, in the order of their numbers where they are equally long."""
        found: dict[tuple[int, ...], Rewarded] = {}
        for one in group:
            if one.rollout.finished and one.reward >= self.config.least - 1e-9:
                found.setdefault(tuple(one.rollout.completion.tokens), one)
        for tokens in sorted(found, key=len)[: self.config.keep]:
            found[tokens].used = True
            self.kept.append((found[tokens].rollout.prompt.tokens, list(tokens)))

    def loss(self, model: nn.Module, batch: Answers) -> Loss:
        assert isinstance(model, Transformer)
        total, count = cross_entropy(model.hidden(batch.tokens), model.output_weight, batch.targets)
        rows = torch.full_like(count, len(batch.tokens))
        auxiliary = None if model.shape.experts is None else model.balance() * (count / batch.tokens.numel())
        return Loss(total, count, auxiliary, {"learnt_length": (count, rows)})

    def observe(self, step: int, seconds: float) -> Row:
        return {**self.told.figures, "drawing": self.drawing / seconds} if step else {}

    def state(self) -> dict[str, Any]:
        kept = [[prompt, tokens] for prompt, tokens in self.kept]
        return {"place": self.source.place, "draws": self.draws, "told": self.told.state(), "kept": kept}

    def restore(self, state: dict[str, Any]) -> None:
        self.source.place, self.draws = state["place"], state["draws"]
        self.told.restore(state["told"])
        self.kept = [(prompt, tokens) for prompt, tokens in state["kept"]]
