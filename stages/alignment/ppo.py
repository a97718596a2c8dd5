"""PPO: a policy learns from a reward model, held near the model that it began as.

In: `model`, a model folder with its tokenizer that chats; `reward_model`, an artifact of `reward_model` over the same tokenizer; `prompts`, an
artifact of conversations (stages/alignment/prompts.py); `crawl`, if given, the artifact of `simulate`: then the simulated judge
(stages/alignment/rubric.py) watches; `compute`. Out: the model folder and, of a LoRA, its adapter, as of `grpo`; metrics.parquet with
DRAWN (stages/alignment/drawing.py), `reward_NAME` of what answers are scored by, PPO_METRICS; rollouts-00000.parquet and on with every
answer that was drawn.

A round: `prompts` answers, each to a question of its own; `passes` x `parts` updates on them. What a token earns is -kl_weight times its
divergence from the first model (k1), and the last one the reward model's score beside, in standard deviations of the first round's scores;
an answer that did not end loses `unfinished` of them. Advantages by GAE, whitened over the round. The critic begins as the reward model.

| score of an answer | |
|---|---|
| model | the reward model's, as it is |
| judge, answer | with `crawl`: the simulated judge's, and whether the answer is right (also `accuracy`): for watching alone |

**Watch.** A policy may find what the reward model overrates. After each round the means of the last `window` rounds are compared with the best
window that the judge had: where the judge's has fallen by more than `judge_drop` while the reward model's is not lower, the run stops. With
or without a judge it stops where the divergence of an answer exceeds `kl_limit`, or answers are `length_limit` times as long as at first.

Sources: Schulman et al. 2017; Ziegler et al. 2019 (KL in the reward, adaptive coefficient); Stiennon et al. 2020 (a critic of its own);
Ouyang et al. 2022 (InstructGPT); Gao et al. 2022, "Scaling Laws for Reward Model Overoptimization" (what the watch looks for).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import polars as pl
from pydantic import Field, model_validator

from models.transformer.optimizer import Kind as OptimizerKind
from stages.alignment.drawing import Drawn
from stages.alignment.rubric import Rubric
from stages.compute import compute_of
from stages.job import run_job
from stages.stage import Stage

PPO_METRICS: dict[str, pl.DataType] = {
    "clip_fraction": pl.Float64(),  # of the tokens
    "value_loss": pl.Float64(),  # of a token
    "value_clipped": pl.Float64(),  # share of the tokens whose value was held
    "moved": pl.Float64(),  # nats per token from the policy that drew the round, k3
    "gap": pl.Float64(),  # mean distance of a token's log-probability where it was drawn and where it is learnt, before any update
    "divergence": pl.Float64(),  # nats per answer from the first model, k1: what the penalty is on
    "kl_weight": pl.Float64(),
    "round": pl.Float64(),  # rounds so far
}


class PpoConfig(Drawn):
    """How a policy learns from a reward model."""

    prompts: int = Field(64, ge=1)
    """Questions of a round, over all processes."""
    passes: int = Field(2, ge=1)
    """Times that a round is gone through."""
    parts: int = Field(2, ge=1)
    """Updates of a pass."""
    clip: float = Field(0.2, gt=0, lt=1)
    """A probability is held within 1 - this and 1 + this of the old one."""
    value_clip: float = Field(0.2, gt=0)
    """A value is held within this of the old one."""
    value_weight: float = Field(1.0, ge=0)
    """Weight of the critic's loss."""
    gamma: float = Field(1.0, gt=0, le=1)
    """Discount of a token later."""
    lam: float = Field(0.95, ge=0, le=1)
    """Of GAE: 0 trusts the critic, 1 what was earned."""
    whiten: bool = True
    """Whether advantages have mean 0 and variance 1 over a round."""
    kl_weight: float = Field(0.05, ge=0)
    """Of the divergence in the reward, at the beginning."""
    kl_target: float = Field(0.0, ge=0)
    """Nats per answer to which kl_weight is adapted; 0: it stays."""
    kl_horizon: int = Field(2000, ge=1)
    """Answers within which kl_weight may change by a fifth."""
    kl_stop: float = Field(0.03, ge=0)
    """Nats per token moved by an update from which on the rest of a round is left out; 0: never."""
    unfinished: float = Field(1.0, ge=0)
    """What an answer loses that did not end."""
    kl_limit: float = Field(40.0, gt=0)
    """Nats per answer from the first model at which the run stops."""
    length_limit: float = Field(4.0, gt=1)
    """Times the length of the first answers at which the run stops."""
    window: int = Field(5, ge=1)
    """Rounds whose means the watch compares."""
    judge_drop: float = Field(0.3, gt=0)
    """By how much the judge's score may fall while the reward model's does not."""
    rubric: Rubric = Rubric()
    """Of the judge."""
    optimizer: OptimizerKind | None = "adamw"
    """AdamW for all weights, or Muon for the matrices inside the networks and AdamW for the rest."""
    rate: float = Field(default=3e-4, ge=0)
    """Peak learning rate of AdamW, of policy and critic."""

    @model_validator(mode="after")
    def _no_empty_part(self) -> Self:
        if self.parts > self.prompts:
            raise ValueError(
                f"parts is {self.parts}, prompts {self.prompts}; expected no more updates of a pass than questions of a round"
            )
        return self


def run(inputs: Mapping[str, Any], out: Path, config: PpoConfig) -> dict[str, Any]:
    """Have the job done; back: its figures. Raises Problem."""
    given = {name: value for name, value in inputs.items() if name != "compute"}
    return run_job("stages.alignment.ppo_training:work", given, out, config, compute_of(inputs.get("compute", {})))


PPO = Stage(name="ppo", version=2, run=run, config=PpoConfig, shape="whole")
