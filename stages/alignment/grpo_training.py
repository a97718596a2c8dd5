"""What every process of GRPO does: draw, reward, compare, learn.

A answers, T positions, P prompts, S answers to each.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.alignment.advantages import group_advantages, informative
from models.alignment.grpo import grpo_losses, token_weights
from models.alignment.logprobs import token_logprobs
from models.alignment.preference import Answer, Answers, answers
from models.transformer.loss import IGNORED
from models.transformer.train import Loss
from models.transformer.transformer import Transformer
from stages.alignment.drawing import Rewarded
from stages.alignment.grpo import GRPO_METRICS, GrpoConfig
from stages.alignment.policy import cut, logprobs, share_of, spread, under_reference
from stages.alignment.practice import Practice, practise
from stages.compute import Compute


def work(inputs: Mapping[str, Any], out: Path, config: GrpoConfig, compute: Compute) -> dict[str, Any]:
    """The stage's figures. Raises Problem and Unusable."""
    return practise(Grpo, inputs, out, config, compute, GRPO_METRICS)


@dataclass(frozen=True)
class Learnt:
    """An answer as it is learnt from."""

    prompt: list[int]
    tokens: list[int]
    drawn: Tensor
    """Log-probability of each token where it was drawn."""
    advantage: float
    length: int
    """Tokens that count in the mean: none of a masked answer."""
    group: int
    reference: Tensor | None
    """Log-probabilities under the first model, where the divergence is part of the loss."""
    old: Tensor | None = None
    """Log-probabilities before the first update on it; None: there is but one update."""

    @property
    def answer(self) -> Answer:
        return Answer(self.prompt, self.tokens)


@dataclass(frozen=True)
class Piece:
    """A micro-batch."""

    batch: Answers
    drawn: Tensor
    """[A, T], as are old and reference."""
    old: Tensor | None
    reference: Tensor | None
    advantages: Tensor
    """[A, 1]"""
    weights: Tensor
    """[A, 1]: of a token, times the tokens of the step, by which the loop divides."""
    balance: float
    """Tokens of the step / its positions, for the load balance of experts."""


class Grpo(Practice[GrpoConfig]):
    round: Sequence[Learnt] = ()

    def batches(self, step: int) -> Sequence[Piece]:
        config = self.config
        turn = step % (config.parts * config.passes)
        self.drawing = 0.0
        if turn == 0:
            began = time.perf_counter()
            self.round = self._draw(step)
            self.drawing = time.perf_counter() - began
        part = turn % config.parts
        return self._pieces([one for one in self.round if one.group % config.parts == part])

    def _draw(self, step: int) -> list[Learnt]:
        """This process's answers of a round, and their figures."""
        config, wanted = self.config, share_of(self.config.prompts, self.world)
        every: list[Rewarded] = []
        groups: list[range] = []
        """Places in `every`."""
        telling = 0
        for _ in range(config.most_draws):
            new = self.ask()
            rewards_PS = torch.tensor([one.reward for one in new]).view(wanted, config.samples)
            differ = informative(rewards_PS).tolist()
            advantages = group_advantages(rewards_PS, config.variant != "dr_grpo").flatten().tolist()
            for one, advantage in zip(new, advantages, strict=True):
                one.advantage = advantage
            telling += sum(differ)
            for place in range(wanted):
                if differ[place] or config.most_draws == 1:
                    groups.append(range(len(every) + place * config.samples, len(every) + (place + 1) * config.samples))
            every += new
            if len(groups) >= wanted:
                break
        groups = groups or [range(config.samples)]  # a round of dapo in which no group differs: it moves nothing
        given = [Answer(one.rollout.prompt.tokens, one.rollout.completion.tokens) for one in every]
        # As a figure one answer to each prompt is enough: a forward pass over all is a fifth of a step.
        places = range(0, len(every), 1 if config.kl_weight else config.samples)
        reference = under_reference(self.policy, given, places, config.temperature, self.micro)
        self.told.round(every, reference, self.world)
        hits, all_groups = self.total(telling, len(every) / config.samples)
        self.told.figures["informative"] = hits / all_groups
        learnt = [
            self._learnt(every[at], group, reference.get(at)) for group, places in enumerate(groups[:wanted]) for at in places
        ]
        self.journal.round(step, every)
        return self._with_old(learnt)

    def _learnt(self, one: Rewarded, group: int, reference: Tensor | None) -> Learnt:
        done = one.rollout.completion
        masked = self.config.truncated == "masked" and not one.rollout.finished
        one.used = not masked
        return Learnt(
            one.rollout.prompt.tokens, done.tokens, torch.tensor(done.logprobs), one.advantage or 0.0, 0 if masked else len(done.tokens),
            group, reference,
        )  # fmt: skip

    def _with_old(self, learnt: Sequence[Learnt]) -> list[Learnt]:
        if self.config.parts * self.config.passes == 1:
            return list(learnt)
        old = logprobs(self.policy.model, [one.answer for one in learnt], self.config.temperature, self.micro)
        return [Learnt(**{**one.__dict__, "old": mine}) for one, mine in zip(learnt, old, strict=True)]

    def _pieces(self, part: Sequence[Learnt]) -> list[Piece]:
        """Those that have a gradient; one at least, so that every process has something to do."""
        config, device = self.config, self.world.device
        lengths = torch.tensor([one.length for one in part] or [0])
        mine = [one for one in part if one.length and (one.advantage or config.kl_weight)]
        idle = not mine
        mine = mine or list(self.round[:1])
        pieces = cut([one.answer for one in mine], self.policy.model, self.micro)
        positions = sum(len(places) * max(len(mine[at].prompt) + len(mine[at].tokens) for at in places) for places in pieces)
        count, length, tokens, places_all = self.total(
            len(lengths), float(lengths.sum()), sum(len(one.tokens) for one in mine), positions
        )
        found = []
        for places in pieces:
            some = [mine[at] for at in places]
            batch = answers([one.answer for one in some]).to(device)
            own = token_weights(torch.tensor([one.length for one in some]), config.variant, config.tokens, count, length)
            found.append(
                Piece(
                    batch,
                    spread([one.drawn for one in some], batch),
                    _spread([one.old for one in some], batch),
                    _spread([one.reference for one in some] if config.kl_weight else [None], batch),
                    torch.tensor([[one.advantage] for one in some], device=device),
                    (own * tokens * (0.0 if idle else 1.0))[:, None].to(device),
                    tokens / places_all,
                )
            )
        return found

    def loss(self, model: nn.Module, piece: Piece) -> Loss:
        assert isinstance(model, Transformer)
        config, batch = self.config, piece.batch
        hidden = model.hidden(batch.tokens)
        now = token_logprobs(hidden, model.output_weight, batch.targets, config.temperature)
        old = now.detach() if piece.old is None else piece.old
        losses, clipped = grpo_losses(now, old, piece.advantages, config.clip_low, config.high, piece.reference, config.kl_weight)
        said = batch.targets != IGNORED
        count = said.sum()
        measures = {"clip_fraction": ((clipped & said).sum(), count), "gap": (((old - piece.drawn).abs() * said).sum(), count)}
        auxiliary = None if model.shape.experts is None else model.balance() * piece.balance
        return Loss((losses * piece.weights * said).sum(), count, auxiliary, measures)

    def state(self) -> dict[str, Any]:
        more = self.config.parts * self.config.passes > 1
        return {**super().state(), "round": [dict(one.__dict__) for one in self.round] if more else []}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.round = [Learnt(**one) for one in state["round"]]


def _spread(values: Sequence[Tensor | None], batch: Answers) -> Tensor | None:
    """None where there is none of any."""
    there = [one for one in values if one is not None]
    return spread(there, batch) if there else None
