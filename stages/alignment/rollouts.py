"""Rollouts as an artifact: a model, prompts, several answers to each.

In: `model`, a model folder with its tokenizer that chats; `prompts`, an artifact of conversations (stages/alignment/prompts.py);
`compute`. Out: `rollouts-00000.parquet` and on, PART prompts each, with the columns of stages/alignment/rollout.py. A part that is done is
kept: rollouts that were killed go on with the next.

The same inputs and config give the same bytes on the same type of device with the same number of threads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import polars as pl
import torch
from pydantic import Field

from stages.alignment.prompts import Selection, prompts
from stages.alignment.rollout import ROLLOUT, roll, table
from stages.compute import Compute, compute_of
from stages.evaluation.evaluate import EvaluateBaseConfig, opened
from stages.job import run_job
from stages.pretraining.start import exact
from stages.stage import Config, Stage
from storage.problem import Problem
from storage.shards import encode

PART = 256
DONE = ".rollouts"


class RolloutsConfig(Config):
    """What is asked, how often, and how answers are drawn."""

    select: Selection = Selection()
    """Which rows are asked."""
    samples: int = Field(4, ge=1, le=10_000)
    """Answers to each prompt."""
    temperature: float = Field(1.0, ge=0)
    """0: the likeliest token each time."""
    tokens: int = Field(128, ge=1)
    """Longest answer."""
    rows: int = Field(64, ge=1)
    """Answers that are computed at a time: sums round differently in another company."""
    seed: int = Field(0, ge=0)
    """Of every draw."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Type of the mathematics."""


def run(inputs: Mapping[str, Any], out: Path, config: RolloutsConfig) -> dict[str, Any]:
    """Have the job done; back: its figures. Raises Problem."""
    compute = compute_of(inputs.get("compute", {})).model_copy(update={"processes": 1})
    given = {name: value for name, value in inputs.items() if name != "compute"}
    return run_job("stages.alignment.rollouts:work", given, out, config, compute)


def work(inputs: Mapping[str, Any], out: Path, config: RolloutsConfig, compute: Compute) -> dict[str, Any]:
    """The job. Back: counts and means."""
    exact(compute)
    model, tokenizer = opened(inputs["model"], EvaluateBaseConfig(precision=config.precision), compute)
    asked = prompts(inputs["prompts"].shards, config.select, tokenizer, model.shape.context - 1)
    if not tokenizer.stops:
        raise Problem("the model's tokenizer has no token that ends a turn; expected a model that was fine-tuned on chats")
    done = out / DONE
    done.mkdir(exist_ok=True)
    parts = range(0, len(asked), PART)
    for number, first in enumerate(parts):
        path = done / f"rollouts-{number:05}.parquet"
        if not path.exists():
            some = asked[first : first + PART]
            rollouts = roll(model, tokenizer, some, config.samples, config.tokens, config.temperature, config.rows, config.seed)
            unfinished = path.with_suffix(".partial")
            unfinished.write_bytes(encode(table(rollouts, config.temperature), ROLLOUT))
            unfinished.replace(path)
        told = {"done": min(first + PART, len(asked)), "total": len(asked), "unit": "prompts", "text": ""}
        with (out / ".progress.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(told) + "\n")
    for path in sorted(done.glob("*.parquet")):
        (out / path.name).write_bytes(path.read_bytes())
    rows = pl.concat(
        pl.read_parquet(path, columns=["tokens", "finish_reason"]) for path in sorted(out.glob("rollouts-*.parquet"))
    )
    return {
        "prompts": len(asked),
        "rollouts": rows.height,
        "tokens": int(rows["tokens"].list.len().sum()),
        "finished": float((rows["finish_reason"] == "stop").mean() or 0.0),  # type: ignore[arg-type]
        "computed_on": f"{model.output_weight.device.type}, {compute.threads_each} threads, torch {torch.__version__}",
    }


ROLLOUTS = Stage(name="rollouts", version=1, run=run, config=RolloutsConfig, adds=ROLLOUT, shape="whole")
