"""A reward model: pairs, or orders of several answers, to a model that scores an answer by how much people would prefer it.

In: `preferences`, an artifact of `render_preferences`; `model`, a model folder with its tokenizer to begin from, mostly the one that is to
be aligned; `compute` (stages/compute.py). Out, in `out`:

| file | |
|---|---|
| config.json, model.safetensors, tokenizer files ..., `reward_head.safetensors` | the reward model: models/alignment/reward.py loads and uses it; adapters are merged |
| metrics.parquet | a row a step: CURVE |
| held_out.parquet | a row for each held-out pair: HELD_OUT |
| calibration.parquet | what it was sure of, and how often rightly: CALIBRATION |
| report.md | accuracy, calibration, and how much of it is length |

The loss of a comparison is the mean over its pairs of -log sigmoid(r(chosen) - r(rejected) - margin). What is held out is never learnt
from: rows with the split validation. The work is a job that may be killed at any moment and goes on to the same weights, bit for bit.

Sources: models/alignment/reward.py; calibration: Guo et al. 2017, equation 3, of the probability of the answer that is held better.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from models.transformer.optimizer import Kind as OptimizerKind
from stages.compute import compute_of
from stages.job import run_job
from stages.posttraining.fine_tuning import Updates
from stages.stage import Stage

CURVE: dict[str, pl.DataType] = {
    "step": pl.Int64(),
    "comparisons": pl.Int64(),  # so far
    "loss": pl.Float64(),  # nats per comparison, before the update
    "lr": pl.Float64(),
    "grad_norm": pl.Float64(),
    "comparisons_per_second": pl.Float64(),  # of the clock: no two runs agree
    "accuracy": pl.Float64(),  # share of the step's pairs whose chosen answer is scored higher
    "margin": pl.Float64(),  # by how much, on average
    "validation_loss": pl.Float64(),
    "validation_accuracy": pl.Float64(),
}
HELD_OUT: dict[str, pl.DataType] = {
    "id": pl.String(),
    "chosen_score": pl.Float64(),
    "rejected_score": pl.Float64(),
    "chosen_tokens": pl.Int64(),
    "rejected_tokens": pl.Int64(),
    "margin": pl.Float64(),  # the pair's own; null where it has none
    "right": pl.Boolean(),
}
CALIBRATION: dict[str, pl.DataType] = {
    "low": pl.Float64(),  # of the probability that the model gives the answer that it holds better
    "high": pl.Float64(),
    "pairs": pl.Int64(),
    "confidence": pl.Float64(),  # mean of that probability
    "accuracy": pl.Float64(),  # how often that answer was the chosen one
}


class RewardModelConfig(Updates):
    """How a model learns to compare answers."""

    epochs: float = Field(default=2.0, gt=0)
    """How often each comparison is read, rounded up to whole steps; passed over where `steps` is given."""
    rows: int = Field(default=32, ge=1)
    """Comparisons of a step, over all processes."""
    optimizer: OptimizerKind | None = "adamw"
    """AdamW for all weights, or Muon for the matrices inside the network and AdamW for the rest; null: muon, for adapters adamw."""
    matrix_rate: float = Field(default=1e-3, ge=0)
    """Peak learning rate of Muon."""
    rate: float = Field(default=5e-4, ge=0)
    """Peak learning rate of AdamW."""
    embedding_rate: float = Field(default=5e-4, ge=0)
    """Peak learning rate of AdamW for embeddings, where Muon moves the matrices."""
    weight_decay: float = Field(default=0.01, ge=0, le=1)
    """Of all matrices; with Muon, of what it moves."""
    decay: float = Field(default=0.9, ge=0, le=1)
    """Share of the steps over which the rates of a constant schedule fall."""
    validation_rows: int = Field(default=256, ge=0)
    """Most held-out comparisons that are read at a look on the way; 0: none. The figures at the end are of all."""
    margin: float = Field(default=0.0, ge=0)
    """What each pair's own margin is multiplied by before the loss asks for it; 0: all pairs are alike."""
    centring: float = Field(default=0.001, ge=0)
    """Weight of (r(chosen) + r(rejected))^2, which keeps scores near zero."""
    bins: int = Field(default=10, ge=1, le=100)
    """Of the table of calibration, between a probability of one half and one."""


def run(inputs: Mapping[str, Any], out: Path, config: RewardModelConfig) -> dict[str, Any]:
    """Have the job done; back: its figures. Raises Problem."""
    given = {name: value for name, value in inputs.items() if name != "compute"}
    return run_job("stages.alignment.reward_training:work", given, out, config, compute_of(inputs.get("compute", {})))


REWARD_MODEL = Stage(name="reward_model", version=1, run=run, config=RewardModelConfig, shape="whole")
