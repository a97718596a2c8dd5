"""Direct preference optimisation: pairs of answers and a model to a model that gives the better ones, without a reward model.

In: `preferences`, an artifact of `render_preferences`; `reference`, the artifact of `reference_logprobs` over the same rows; `model`, a
model folder with its tokenizer, mostly the reference itself; `compute` (stages/compute.py). Out, in `out`:

| file | |
|---|---|
| config.json, generation_config.json, model.safetensors, tokenizer files, chat_template.jinja | the model, a Hugging Face folder; adapters are merged |
| adapter/ | of a LoRA: the adapter alone, in PEFT's format, for the model that was given; GPT-2's has no such format |
| metrics.parquet | a row a step: CURVE |

`kl` is measured on answers that are drawn from the model itself to held-out prompts, at temperature 1: the mean over answers of log of the
model's over the starting model's probability, summed over the answer's tokens, nats. It is what DPO's loss holds back, and it has to be
looked at: pairs alone do not show it. The work is a job that may be killed at any moment and goes on to the same weights, bit for bit.

Sources: models/alignment/dpo.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import Field, model_validator

from models.transformer.optimizer import Kind as OptimizerKind
from stages.compute import compute_of
from stages.job import run_job
from stages.posttraining.fine_tuning import Updates
from stages.stage import Stage

CURVE: dict[str, pl.DataType] = {
    "step": pl.Int64(),
    "pairs": pl.Int64(),  # so far
    "loss": pl.Float64(),  # per pair, before the update; that of chosen_nll included
    "lr": pl.Float64(),
    "grad_norm": pl.Float64(),
    "pairs_per_second": pl.Float64(),  # of the clock: no two runs agree
    "reward_margin": pl.Float64(),  # beta * (log ratio of the chosen - of the rejected answer)
    "accuracy": pl.Float64(),  # share of pairs with a positive margin
    "chosen_reward": pl.Float64(),  # beta * log ratio of the chosen answer
    "rejected_reward": pl.Float64(),
    "chosen_nll": pl.Float64(),  # nats per token of the chosen answer
    "validation_loss": pl.Float64(),
    "validation_margin": pl.Float64(),
    "validation_accuracy": pl.Float64(),
    "kl": pl.Float64(),  # nats per answer
    "answer_tokens": pl.Float64(),  # mean length of the answers drawn for it
}


class DpoConfig(Updates):
    """How a model learns from pairs."""

    loss: Literal["dpo", "ipo"] = "dpo"
    """Which of the losses of models/alignment/dpo.py."""
    beta: float = Field(default=0.1, gt=0)
    """How strongly the model is held to the reference; of IPO its tau."""
    length_normalised: bool = False
    """Log-probabilities by token instead of summed over an answer, as trl's IPO has them; not what the papers say."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """Share of the preferences that is taken to be wrong; of dpo alone."""
    chosen_nll: float = Field(default=0.0, ge=0)
    """Weight of the chosen answer's nats per token, added to the loss: keeps good answers likely where the margin alone would not."""
    epochs: float = Field(default=1.0, gt=0)
    """How often each pair is read, rounded up to whole steps; passed over where `steps` is given."""
    rows: int = Field(default=32, ge=1)
    """Pairs of a step, over all processes."""
    optimizer: OptimizerKind | None = "adamw"
    """AdamW for all weights, or Muon for the matrices inside the network and AdamW for the rest; null: muon, for adapters adamw."""
    matrix_rate: float = Field(default=2e-4, ge=0)
    """Peak learning rate of Muon."""
    rate: float = Field(default=1e-4, ge=0)
    """Peak learning rate of AdamW; the larger the model the lower: 5e-7 for billions of parameters."""
    embedding_rate: float = Field(default=1e-4, ge=0)
    """Peak learning rate of AdamW for embeddings, where Muon moves the matrices."""
    decay: float = Field(default=0.9, ge=0, le=1)
    """Share of the steps over which the rates of a constant schedule fall."""
    spike: float = Field(default=0.0, ge=0)
    """Stop where the loss exceeds the median of the last 64 steps by so much and by ten median deviations; 0: never."""
    kl_answers: int = Field(default=64, ge=0)
    """Answers to held-out prompts that are drawn at a look to measure the KL; 0: it is not measured."""
    kl_tokens: int = Field(default=128, ge=1)
    """Longest of these answers."""

    @model_validator(mode="after")
    def _consistent(self) -> DpoConfig:
        if self.loss == "ipo" and self.label_smoothing:
            raise ValueError(
                f"loss ipo and label_smoothing {self.label_smoothing}; labels are smoothed in dpo alone: leave it out"
            )
        return self


def run(inputs: Mapping[str, Any], out: Path, config: DpoConfig) -> dict[str, Any]:
    """Have the job done; back: its figures. Raises Problem."""
    given = {name: value for name, value in inputs.items() if name != "compute"}
    return run_job("stages.alignment.dpo_training:work", given, out, config, compute_of(inputs.get("compute", {})))


DPO = Stage(name="dpo", version=1, run=run, config=DpoConfig, shape="whole")
