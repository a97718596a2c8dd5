"""A round of PPO as it is learnt from: what each token earned, advantages by GAE, micro-batches.

A answers, L tokens of the longest answer, T positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from models.alignment.actor_critic import values
from models.alignment.gae import gae, whiten
from models.alignment.kl import k1
from models.alignment.preference import Answer, Answers, answers
from models.alignment.reward import RewardModel
from models.transformer.loss import IGNORED
from models.transformer.transformer import Transformer
from stages.alignment.drawing import Rewarded
from stages.alignment.policy import cut, spread
from stages.alignment.ppo import PpoConfig


@dataclass(frozen=True)
class Learnt:
    """An answer as it is learnt from; the tensors are of its tokens."""

    prompt: list[int]
    tokens: list[int]
    drawn: Tensor
    old: Tensor
    value: Tensor
    advantage: Tensor
    earned: Tensor
    """Returns."""

    @property
    def answer(self) -> Answer:
        return Answer(self.prompt, self.tokens)


@dataclass(frozen=True)
class Piece:
    """A micro-batch; the tensors are [A, T]."""

    batch: Answers
    drawn: Tensor
    old: Tensor
    value: Tensor
    advantage: Tensor
    earned: Tensor


def earnings(score: float, logprobs: Tensor, reference: Tensor, kl_weight: float) -> Tensor:
    """Of each token of an answer: its divergence costs, and the last one brings the score."""
    earned = -kl_weight * k1(logprobs, reference)
    earned[-1] += score
    return earned


def critic_values(critic: RewardModel, given: Sequence[Answer], most: int) -> list[Tensor]:
    """Before each token of each answer, on the CPU, without gradients."""
    found: list[Tensor] = [torch.empty(0)] * len(given)
    with torch.no_grad():
        for places in cut(given, critic.model, most):
            batch = answers([given[at] for at in places]).to(critic.head.weight.device)
            rows, asked = values(critic, batch.tokens).cpu(), (batch.targets != IGNORED).cpu()
            for at, row, said in zip(places, rows, asked, strict=True):
                found[at] = row[said]
    return found


def estimated(
    every: Sequence[Rewarded], old: Sequence[Tensor], value: Sequence[Tensor], earned: Sequence[Tensor], config: PpoConfig
) -> list[Learnt]:
    """Advantages and returns; the mean advantage of an answer goes to its rollout."""
    mask_AL = pad_sequence([torch.ones(len(one), dtype=torch.bool) for one in old], batch_first=True)
    earned_AL, value_AL = (pad_sequence(list(each), batch_first=True) for each in (earned, value))
    advantages_AL, returns_AL = gae(earned_AL, value_AL, mask_AL, config.gamma, config.lam)
    if config.whiten:
        advantages_AL = whiten(advantages_AL, mask_AL)
    found = []
    for at, one in enumerate(every):
        done, size = one.rollout.completion, len(old[at])
        advantage, returns = advantages_AL[at, :size].clone(), returns_AL[at, :size].clone()
        one.advantage = float(advantage.mean())
        drawn = torch.tensor(done.logprobs)
        found.append(Learnt(one.rollout.prompt.tokens, done.tokens, drawn, old[at], value[at], advantage, returns))
    return found


def pieces(part: Sequence[Learnt], model: Transformer, most: int) -> list[Piece]:
    found = []
    for places in cut([one.answer for one in part], model, most):
        some = [part[at] for at in places]
        batch = answers([one.answer for one in some]).to(model.output_weight.device)
        parts = [[getattr(one, name) for one in some] for name in ("drawn", "old", "value", "advantage", "earned")]
        found.append(Piece(batch, *(spread(each, batch) for each in parts)))
    return found
