"""Distillation: a student learns what a teacher expects at every position, not only which token came.

In: `rows`, an artifact of `layout` (conversations) or of `pack` (text); `teacher`, a model folder; `model`, the student to go on from, or
none: then it begins from nothing, in the shape of the settings; `replay` and `compute` as in `sft`. Teacher and student have one
tokenizer. Out: what `sft` writes (stages/posttraining/sft.py), and in metrics.parquet

| column | |
|---|---|
| divergence | of the step's rows: temperature^2 * KL(teacher / student), nats per learnt token, both softened by the temperature |
| cross_entropy | of the step's rows, nats per learnt token |
| validation_divergence | KL(teacher / student) on the held-out rows, nats per learnt token, at temperature 1 |
| agreement | share of held-out learnt tokens at which both hold the same token likeliest |

The loss is share * divergence + (1 - share) * cross_entropy, on what is learnt in the rows: of conversations what the assistant says, of
text everything. A student can also be trained on what a teacher answers: `teacher_answers.py`, then `sft`.

Source: Hinton, Vinyals, Dean 2015, "Distilling the Knowledge in a Neural Network".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from stages.compute import compute_of
from stages.job import run_job
from stages.posttraining.fine_tuning import FineTuning
from stages.pretraining.pretrain import ShapeFields
from stages.stage import Stage


class DistillConfig(FineTuning):
    """How a student learns from a teacher."""

    distillation_temperature: float = Field(default=2.0, gt=0, le=100)
    """Both distributions are softened by it; higher: what the teacher holds unlikely counts more."""
    share: float = Field(default=0.9, gt=0, le=1)
    """Weight of the divergence from the teacher; the rest is that of the cross-entropy."""
    preset: str = "demo"
    """Shape of a student that begins from nothing."""
    shape: ShapeFields = ShapeFields()
    """Where that shape is to differ."""


def run(inputs: Mapping[str, Any], out: Path, config: DistillConfig) -> dict[str, Any]:
    """Have the job done; back: its figures. Raises Problem."""
    given = {name: value for name, value in inputs.items() if name != "compute"}
    return run_job("stages.posttraining.distill_training:work", given, out, config, compute_of(inputs.get("compute", {})))


DISTILL = Stage(name="distill", version=1, run=run, config=DistillConfig, shape="whole")
