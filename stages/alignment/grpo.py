"""GRPO: a policy learns from rewards that can be verified, compared within groups of answers to the same question.

In: `model`, a model folder with its tokenizer that chats; `prompts`, an artifact of conversations with what their answers are checked by
(stages/alignment/problems.py); `compute`. Out, in `out`:

| file | |
|---|---|
| config.json, generation_config.json, model.safetensors, tokenizer files, chat_template.jinja | the model, a Hugging Face folder; adapters are merged |
| adapter/ | of a LoRA: the adapter alone, in PEFT's format; GPT-2's has no such format |
| metrics.parquet | a row a step: DRAWN (stages/alignment/drawing.py), `reward_NAME` of each reward, GRPO_METRICS |
| rollouts-00000.parquet and on | every answer that was drawn, with its reward and advantage: JOURNAL (stages/alignment/drawing.py) |

A round: `prompts` questions, `samples` answers to each, rewards, advantages; then `parts` x `passes` updates on it. Old log-probabilities
are computed anew by the model that learns, never taken from what drew; `gap` tells how far the two differ. Answers that did not end are
`penalised` (their answer counts as wrong and they are learnt from as the others) or `masked` (no gradient).

| variant | averages over | advantages | upper clip | groups of equal rewards |
|---|---|---|---|---|
| grpo (Shao et al. 2024) | tokens, then answers | divided by the deviation | 0.2 | have no gradient |
| dr_grpo (Liu et al. 2025) | longest length, then answers | not divided | 0.2 | have no gradient |
| dapo (Yu et al. 2025) | tokens of all answers | divided by the deviation | 0.28 | drawn anew |

The work is a job that may be killed at any moment and goes on from its last checkpoint to the same weights, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import Field

from models.alignment.grpo import Variant
from stages.alignment.drawing import Verified
from stages.compute import compute_of
from stages.job import run_job
from stages.stage import Stage

GRPO_METRICS: dict[str, pl.DataType] = {
    "clip_fraction": pl.Float64(),  # of the tokens learnt from
    "gap": pl.Float64(),  # mean distance in nats of a token's log-probability where it was drawn and where it is learnt, before any update
    "informative": pl.Float64(),  # share of the groups whose rewards differ
}


class GrpoConfig(Verified):
    """How a policy is reinforced."""

    samples: int = Field(8, ge=2)
    """Answers to each: of one alone it cannot be told whether it is better than others."""
    variant: Variant = "grpo"
    """grpo, dr_grpo or dapo; see the table."""
    clip_low: float = Field(0.2, gt=0, lt=1)
    """A probability is not lowered below 1 - this, in relation to the old one."""
    clip_high: float | None = Field(None, gt=0)
    """Nor raised above 1 + this; null: 0.28 of dapo, else 0.2."""
    draws: int | None = Field(None, ge=1, le=100)
    """Most draws for a round until all its groups have different rewards; null: 4 of dapo, else 1."""
    kl_weight: float = Field(0.0, ge=0)
    """Weight of the KL divergence from the first model in the loss (k3)."""
    truncated: Literal["penalised", "masked"] = "penalised"
    """What becomes of answers that did not end."""
    parts: int = Field(1, ge=1)
    """Each round is cut into so many parts of whole groups, an update each."""
    passes: int = Field(1, ge=1)
    """Times that a round is gone through."""

    @property
    def high(self) -> float:
        return self.clip_high or (0.28 if self.variant == "dapo" else 0.2)

    @property
    def most_draws(self) -> int:
        return self.draws or (4 if self.variant == "dapo" else 1)


def run(inputs: Mapping[str, Any], out: Path, config: GrpoConfig) -> dict[str, Any]:
    """Have the job done; back: its figures. Raises Problem."""
    given = {name: value for name, value in inputs.items() if name != "compute"}
    return run_job("stages.alignment.grpo_training:work", given, out, config, compute_of(inputs.get("compute", {})))


GRPO = Stage(name="grpo", version=2, run=run, config=GrpoConfig, shape="whole")
