"""What every process of rejection sampling does: draw, keep, learn."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.alignment.preference import Answer, Answers, answers
from models.transformer.loss import cross_entropy
from models.transformer.train import Loss
from models.transformer.transformer import Transformer
from stages.alignment.drawing import Rewarded
from stages.alignment.policy import cut, share_of, under_reference
from stages.alignment.practice import Practice, practise
from stages.alignment.rejection import REJECTION_METRICS, RejectionConfig
from stages.compute import Compute
from storage.problem import Problem

Kept = tuple[list[int], list[int]]
"""Tokens of a prompt and of its answer."""


def work(inputs: Mapping[str, Any], out: Path, config: RejectionConfig, compute: Compute) -> dict[str, Any]:
    """The stage's figures. Raises Problem and Unusable."""
    return practise(Rejection, inputs, out, config, compute, REJECTION_METRICS, ["kept"])


class Rejection(Practice[RejectionConfig]):
    kept: Sequence[Kept] = ()

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
            new = self.ask()
            groups = [new[first : first + config.samples] for first in range(0, len(new), config.samples)]
            self.kept = [*self.kept, *(one for group in groups for one in self._good(group))]
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
        kept, drawn = self.total(sum(one.used for one in every), len(every))
        self.told.figures["kept"] = kept / drawn
        self.journal.round(step, every)

    def _short(self, wanted: int) -> bool:
        return self.total(len(self.kept) < wanted) != [0]

    def _good(self, group: Sequence[Rewarded]) -> Iterator[Kept]:
        """The shortest different good ones, in the order of their numbers where they are equally long."""
        found: dict[tuple[int, ...], Rewarded] = {}
        for one in group:
            if one.rollout.finished and one.reward >= self.config.least - 1e-9:
                found.setdefault(tuple(one.rollout.completion.tokens), one)
        for tokens in sorted(found, key=len)[: self.config.keep]:
            found[tokens].used = True
            yield found[tokens].rollout.prompt.tokens, list(tokens)

    def loss(self, model: nn.Module, batch: Answers) -> Loss:
        assert isinstance(model, Transformer)
        total, count = cross_entropy(model.hidden(batch.tokens), model.output_weight, batch.targets)
        rows = torch.full_like(count, len(batch.tokens))
        auxiliary = None if model.shape.experts is None else model.balance() * (count / batch.tokens.numel())
        return Loss(total, count, auxiliary, {"learnt_length": (count, rows)})

    def state(self) -> dict[str, Any]:
        return {**super().state(), "kept": [[prompt, tokens] for prompt, tokens in self.kept]}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.kept = [(prompt, tokens) for prompt, tokens in state["kept"]]
