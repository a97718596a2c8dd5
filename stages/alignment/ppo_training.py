"""What every process of PPO does: draw, score, estimate advantages, learn, watch."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor, nn

from models.alignment.actor_critic import ActorCritic, values
from models.alignment.kl import adapted, k1, k3
from models.alignment.logprobs import token_logprobs
from models.alignment.ppo import policy_losses, value_losses
from models.alignment.preference import Answer
from models.alignment.reward import RewardModel, load_reward_model, score
from models.transformer.loss import IGNORED
from models.transformer.train import Loss, Row
from models.transformer.world import World, joined
from stages.alignment.drawing import DRAWN, Journal, Rewarded, Source, Told, ends
from stages.alignment.judge import known
from stages.alignment.policy import Opened, closed, logprobs, opened, share_of, under_reference
from stages.alignment.ppo import PPO_METRICS, PpoConfig
from stages.alignment.ppo_round import Learnt, Piece, critic_values, earnings, estimated, pieces
from stages.alignment.ppo_watch import Hacked, best, complaint
from stages.alignment.rollout import Rollout, roll
from stages.alignment.rubric import judged
from stages.compute import Compute
from stages.evaluation.chat_judge import Question, Truth, Turn
from stages.posttraining.fitting import fit
from stages.posttraining.world.made import BESIDE
from stages.pretraining.figures import figures
from stages.pretraining.progress import Progress
from stages.pretraining.start import DTYPES, exact, folder_of, named
from stages.tokens.vocabulary import vocabulary
from storage.problem import Problem

GOOD = ".before_the_stop"


def work(inputs: Mapping[str, Any], out: Path, config: PpoConfig, compute: Compute) -> dict[str, Any]:
    """The stage's figures. Raises Problem and Unusable."""
    exact(compute)
    with joined(compute.device) as world:
        policy = opened(inputs, config, compute, world)
        if vocabulary(inputs["reward_model"]).digest != vocabulary(inputs["model"]).digest:
            raise Problem(
                "the reward model has another tokenizer than the model; expected one that was trained from a model with the same"
            )
        folder = folder_of(inputs["reward_model"])
        reward, critic = (load_reward_model(folder, DTYPES[config.dtype], world.device) for _ in range(2))
        reward.requires_grad_(False)
        made_of = policy.made_of | {
            "reward model": named(reward.model),
            "reward head": str(reward.head.weight.double().sum().item()),
        }
        truth = known(inputs["crawl"]) if "crawl" in inputs else None
        method = Ppo(policy, reward, critic, truth, config, compute, world, out)
        columns = DRAWN | {f"reward_{name}": pl.Float64() for name in method.names} | PPO_METRICS
        progress = Progress(out, config.steps)
        both = ActorCritic(policy.model, critic)
        try:
            rows = fit(both, method, config.over(config.steps), made_of, out, config, compute, world, progress)
        except Hacked as error:
            if world.rank or method.good is None:
                raise
            policy.model.load_state_dict(method.good)
            closed(out / GOOD, policy, config, [], {})
            raise Hacked(f"{error}. The model of before is in {out / GOOD}") from error
        if world.rank == 0:
            closed(out, policy, config, rows, columns)
            method.journal.close()
        names = ("kl", "divergence", "entropy", "length", "finished", "rollouts", "kl_weight")
        told = figures(policy.model.shape, rows, compute, world, names)
        return told | ends(rows, ("reward", "accuracy", *(f"reward_{name}" for name in method.names)))


class Ppo:
    def __init__(
        self,
        policy: Opened,
        reward: RewardModel,
        critic: RewardModel,
        truth: Truth | None,
        config: PpoConfig,
        compute: Compute,
        world: World,
        out: Path,
    ) -> None:
        self.policy, self.reward, self.critic, self.truth = policy, reward, critic, truth
        self.config, self.world, self.micro = config, world, compute.micro_rows
        self.names = ("model",) if truth is None else ("model", "judge", "answer")
        self.source = Source(policy.prompts, config.seed)
        self.journal = Journal(out, world, config.temperature, self.names)
        self.told = Told()
        self.round: list[Learnt] = []
        self.rounds: list[dict[str, float]] = []
        """What the watch looks at."""
        self.good: dict[str, Tensor] | None = None
        """The policy's weights when the watch liked it best."""
        self.turn = config.passes * config.parts
        """Updates made on this round."""
        self.moved = [0.0, 0.0]
        """Nats from the policy that drew the round, tokens: of the last update, this process's."""
        self.normal: list[float] | None = None
        """Mean and deviation of the first round's scores."""
        self.kl_weight = config.kl_weight
        self.drawing = 0.0
        """Seconds of the last step."""

    def batches(self, step: int) -> Sequence[Piece]:
        config, began = self.config, time.perf_counter()
        moved, tokens = self._total(*self.moved)
        if self.turn >= config.passes * config.parts or (config.kl_stop and tokens and moved / tokens > config.kl_stop):
            self._draw(step)
            self.turn = 0
        self.drawing = time.perf_counter() - began
        part = self.turn % config.parts
        self.turn += 1
        self.moved = [0.0, 0.0]
        return pieces(self.round[part :: config.parts] or self.round[:1], self.policy.model, self.micro)

    def _total(self, *numbers: float) -> list[float]:
        found: list[float] = self.world.total(torch.tensor(numbers, dtype=torch.float64, device=self.world.device)).tolist()
        return found

    def _draw(self, step: int) -> None:
        config = self.config
        asked = self.source.take(share_of(config.prompts, self.world))
        model, tokenizer = self.policy.model, self.policy.tokenizer
        seed = [config.seed, len(self.rounds)]
        rollouts = roll(model, tokenizer, asked, 1, config.tokens, config.temperature, config.at_once, seed)
        given = [Answer(one.prompt.tokens, one.completion.tokens) for one in rollouts]
        scores = score(self.reward, given)
        old = logprobs(model, given, config.temperature, self.micro)
        reference = under_reference(self.policy, given, range(len(given)), config.temperature, self.micro)
        every = [self._rewarded(one, value) for one, value in zip(rollouts, scores, strict=True)]
        mean, deviation = self._normal(scores)
        value = critic_values(self.critic, given, self.micro)
        earned = [
            earnings((one.reward - mean) / deviation - config.unfinished * (not one.rollout.finished), now, first, self.kl_weight)
            for one, now, first in zip(every, old, reference.values(), strict=True)
        ]
        self.round = estimated(every, old, value, earned, config)
        self.told.round(every, reference, self.world)
        self._tell([float(k1(one, other).double().sum()) for one, other in zip(old, reference.values(), strict=True)])
        self.journal.round(step, every)
        if wrong := complaint(self.rounds, config):
            raise Hacked(f"step {step}: {wrong}. Raise kl_weight or set kl_target, lower the rate, or take fewer steps")
        if best(self.rounds, config.window):
            self.good = {name: weight.detach().cpu().clone() for name, weight in model.state_dict().items()}

    def _rewarded(self, one: Rollout, value: float) -> Rewarded:
        rewards = {"model": value}
        if self.truth is not None:
            question = Question(*(one.prompt.columns[name] for name in BESIDE))  # type: ignore[arg-type]
            found = judged(question, Turn(one.said), self.truth, self.config.rubric)
            rewards |= {"judge": found.score, "answer": float(found.right)}
        return Rewarded(one, rewards, value, used=True)

    def _normal(self, scores: Sequence[float]) -> list[float]:
        """Mean and deviation of the first round's scores, over all processes. By them the critic, which began as the reward model, is made one of
        scores in these units."""
        if self.normal is None:
            count, total, squares = self._total(len(scores), sum(scores), sum(one**2 for one in scores))
            mean = total / count
            self.normal = [mean, max(1e-6, squares / count - mean**2) ** 0.5]
            with torch.no_grad():
                self.critic.head.bias.sub_(mean).div_(self.normal[1])
                self.critic.head.weight.div_(self.normal[1])
        return self.normal

    def _tell(self, divergences: Sequence[float]) -> None:
        """Figures of the round, and the weight of the divergence for the next."""
        config = self.config
        total, count = self._total(sum(divergences), len(divergences))
        told = self.told.figures
        told |= {"divergence": total / count, "kl_weight": self.kl_weight, "round": float(len(self.rounds) + 1)}
        watched = {name: told[name] for name in ("reward", "divergence", "length")}
        self.rounds.append(watched | ({} if self.truth is None else {"judge": told["reward_judge"]}))
        if config.kl_target:
            self.kl_weight = adapted(self.kl_weight, total / count, config.kl_target, int(count), config.kl_horizon)

    def loss(self, model: nn.Module, piece: Piece) -> Loss:
        assert isinstance(model, ActorCritic)
        config, batch = self.config, piece.batch
        said = batch.targets != IGNORED
        count = said.sum()
        policy = model.policy
        now = token_logprobs(policy.hidden(batch.tokens), policy.output_weight, batch.targets, config.temperature)
        losses, clipped = policy_losses(now, piece.old, piece.advantage, config.clip, config.clip)
        errors, held = value_losses(values(model.critic, batch.tokens), piece.value, piece.earned, config.value_clip)
        value_loss = (errors * said).sum()
        moved = (k3(now.detach(), piece.old) * said).sum()
        self.moved = [self.moved[0] + float(moved), self.moved[1] + float(count)]
        measures = {
            "clip_fraction": ((clipped & said).sum(), count),
            "value_loss": (value_loss, count),
            "value_clipped": ((held & said).sum(), count),
            "moved": (moved, count),
            "gap": (((piece.old - piece.drawn).abs() * said).sum(), count),
        }
        auxiliary = config.value_weight * value_loss
        if policy.shape.experts is not None:
            auxiliary = auxiliary + (policy.balance() + model.critic.model.balance()) * (count / batch.tokens.numel())
        return Loss((losses * said).sum(), count, auxiliary, measures)

    def observe(self, step: int, seconds: float) -> Row:
        return {**self.told.figures, "drawing": self.drawing / seconds} if step else {}

    def state(self) -> dict[str, Any]:
        return {
            "place": self.source.place,
            "told": self.told.state(),
            "round": [dict(one.__dict__) for one in self.round],
            "rounds": self.rounds,
            "good": self.good,
            "turn": self.turn,
            "moved": self.moved,
            "normal": self.normal,
            "kl_weight": self.kl_weight,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.source.place = state["place"]
        self.told.restore(state["told"])
        self.round = [Learnt(**one) for one in state["round"]]
        self.rounds, self.good, self.turn, self.moved = state["rounds"], state["good"], state["turn"], state["moved"]
        self.normal, self.kl_weight = state["normal"], state["kl_weight"]
