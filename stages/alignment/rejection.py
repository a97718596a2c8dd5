"""Rejection sampling: a model answers, what is right and short is kept, it learns from that, and so on.

In: `model`, `prompts` and `compute` as of `grpo` (stages/alignment/grpo.py). Out: the model folder and, of a LoRA, its adapter, as there;
metrics.parquet with DRAWN (stages/alignment/drawing.py), `reward_NAME` of each reward and REJECTION_METRICS; rollouts-00000.parquet and on
with every answer that was drawn, `used` where it was learnt from.

Before each update, rounds of `prompts` questions with `samples` answers each are drawn until `learnt` answers are at hand: of each question the
`keep` shortest different ones that earn at least `least` (and ended). An answer is learnt once, by cross-entropy; what is over waits for
the next update. So the answers come from the model as it is, or, where a round yields more than `learnt`, from the one of some updates ago.

Sources: Zelikman et al. 2022, "STaR: Bootstrapping Reasoning With Reasoning"; Yuan et al. 2023, "Scaling Relationship on Learning
Mathematical Reasoning with Large Language Models" (RFT); Touvron et al. 2023, "Llama 2", section 3.2.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from stages.alignment.drawing import Verified
from stages.compute import compute_of
from stages.job import run_job
from stages.stage import Stage

REJECTION_METRICS: dict[str, pl.DataType] = {
    "kept": pl.Float64(),  # share of the answers of the last rounds that were kept
    "learnt_length": pl.Float64(),  # tokens of an answer learnt from
}


class RejectionConfig(Verified):
    """Which answers are kept, and how many of them make an update."""

    keep: int = Field(2, ge=1)
    """Most answers that are kept of a question."""
    least: float = Field(1.0)
    """Reward from which on an answer is good enough."""
    learnt: int = Field(32, ge=1)
    """Answers of an update, over all processes."""
    draws: int = Field(50, ge=1)
    """Most rounds for an update; where they do not yield enough, the model is not good enough to learn from itself."""


def run(inputs: Mapping[str, Any], out: Path, config: RejectionConfig) -> dict[str, Any]:
    """Have the job done; back: its figures. Raises Problem."""
    given = {name: value for name, value in inputs.items() if name != "compute"}
    return run_job("stages.alignment.rejection_training:work", given, out, config, compute_of(inputs.get("compute", {})))


REJECTION = Stage(name="rejection", version=2, run=run, config=RejectionConfig, shape="whole")
