"""How often a model solves problems: by its likeliest answer, by a draw, by one of several draws.

In: `model`, a model folder with its tokenizer that chats; `prompts`, an artifact of problems with a number in `expected` (stages/alignment/
problems.py); `compute`. Out: `scores.parquet` (stages/evaluation/measures.py, task "reasoning", part: the problems' `part`, or all),
`report.md`, and `answers.parquet`, the columns of stages/alignment/rollout.py and

| column | type | meaning |
|---|---|---|
| right | bool | the answer is the expected number, and the turn was ended |
| formatted | bool | one thought, then an answer outside it |

| metric | of | |
|---|---|---|
| greedy | problems | share that the likeliest answer solves |
| pass@1 | problems | probability that a draw at the temperature solves one: the mean over all draws |
| pass@k | problems | that one of k draws does: 1 - C(n - c, k) / C(n, k), of n draws of which c are right |
| format, finished | draws | share that is formatted; that is ended within the room |
| tokens | draws | mean length |

Intervals are of 95 %, Wilson's. Those of pass@1 and pass@k take each problem for one case that is solved or not: they are a little too wide.
Each part is kept when it is done, so that an evaluation that was killed goes on.

Source of pass@k: Chen et al. 2021, "Evaluating Large Language Models Trained on Code", equation 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import comb
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import Field

from models.tokenizer.tokenizer import Tokenizer
from models.transformer.transformer import Transformer
from stages.alignment.prompts import Prompt, Selection, checkable, prompts
from stages.alignment.rewards import answer, format
from stages.alignment.rollout import ROLLOUT, columns, roll, table
from stages.compute import Compute, compute_of
from stages.evaluation.chat_report import short
from stages.evaluation.evaluate import DONE, EvaluateBaseConfig, kept, opened, progress
from stages.evaluation.measures import SCORES, Measure, Result, frame, mean, share, wilson
from stages.job import run_job
from stages.pretraining.start import exact
from stages.stage import Config, Stage
from storage.shards import encode

TASK = "reasoning"
ANSWERS: dict[str, pl.DataType] = ROLLOUT | {"right": pl.Boolean(), "formatted": pl.Boolean()}
SHOWN = 3
"""Answers of each part in the report, right ones and wrong ones."""


class EvaluateReasoningConfig(Config):
    """Which problems, how many draws of each."""

    select: Selection = Selection(split="test")
    """Which problems are asked."""
    questions: int = Field(400, ge=0)
    """Most problems of each part; 0: all."""
    samples: int = Field(4, ge=1, le=1000)
    """Draws for each problem, beside the greedy answer."""
    temperature: float = Field(1.0, gt=0)
    """Of the draws."""
    tokens: int = Field(128, ge=1)
    """Longest answer."""
    rows: int = Field(128, ge=1)
    """Answers that are computed at a time."""
    seed: int = Field(0, ge=0)
    """Of the draws."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Type of the mathematics."""


def run(inputs: Mapping[str, Any], out: Path, config: EvaluateReasoningConfig) -> dict[str, Any]:
    """Have the job done; back: its figures. Raises Problem."""
    compute = compute_of(inputs.get("compute", {})).model_copy(update={"processes": 1})
    given = {name: value for name, value in inputs.items() if name != "compute"}
    return run_job("stages.alignment.evaluate_reasoning:evaluate", given, out, config, compute)


def evaluate(inputs: Mapping[str, Any], out: Path, config: EvaluateReasoningConfig, compute: Compute) -> dict[str, Any]:
    """The job. Back: every measure, by part and name."""
    exact(compute)
    model, tokenizer = opened(inputs["model"], EvaluateBaseConfig(precision=config.precision), compute)
    asked: dict[str, list[Prompt]] = {}
    every = prompts(inputs["prompts"].shards, config.select, tokenizer, model.shape.context - 1)
    checkable(every)
    for prompt in every:
        mine = asked.setdefault(prompt.columns["part"] or "all", [])
        if not config.questions or len(mine) < config.questions:
            mine.append(prompt)
    tables = []
    for number, (part, problems) in enumerate(sorted(asked.items())):
        progress(out, number, len(asked), part)
        task = partial(_result, problems, model, tokenizer, config)
        tables.append(kept(out / DONE, part.replace(" ", "_"), task).tables["answers"])
    progress(out, len(asked), len(asked), "")
    rows = pl.concat([one.cast(ANSWERS) for one in tables])  # type: ignore[arg-type]
    measures = measured(rows, config.samples)
    (out / "answers.parquet").write_bytes(encode(rows, ANSWERS))
    (out / "scores.parquet").write_bytes(encode(frame(measures), SCORES))
    (out / "report.md").write_text("\n".join(_report(measures, rows, config)) + "\n", encoding="utf-8")
    return {"problems": sum(map(len, asked.values()))} | {f"{one.part} {one.metric}": one.value for one in measures}


def _result(problems: Sequence[Prompt], *given: Any) -> Result:
    return Result([], {"answers": judged(problems, *given)})


def judged(problems: Sequence[Prompt], model: Transformer, tokenizer: Tokenizer, config: EvaluateReasoningConfig) -> pl.DataFrame:
    """The columns ANSWERS: of all problems the greedy answer, then their draws."""
    found = []
    for samples, temperature in ((1, 0.0), (config.samples, config.temperature)):
        rollouts = roll(model, tokenizer, problems, samples, config.tokens, temperature, config.rows, config.seed)
        told, asked, said = columns(rollouts), [one.prompt.text for one in rollouts], [one.text for one in rollouts]
        found.append(
            table(rollouts, temperature).with_columns(
                right=pl.Series(answer(asked, said, **told), dtype=pl.Float64()).cast(pl.Boolean()),
                formatted=pl.Series(format(asked, said, **told), dtype=pl.Float64()).cast(pl.Boolean()),
            )
        )
    return pl.concat(found)


def measured(rows: pl.DataFrame, samples: int) -> list[Measure]:
    """By part, then of all together."""
    parts = rows["part"].unique().drop_nulls().sort().to_list()
    found = [one for part in parts for one in _measures(rows.filter(pl.col("part") == part), samples, part)]
    return found if len(parts) == 1 else [*found, *_measures(rows, samples, "all")]


def _measures(rows: pl.DataFrame, samples: int, part: str) -> Iterator[Measure]:
    yield share(TASK, "greedy", rows.filter(pl.col("temperature") == 0)["right"].to_list(), part)
    drawn = rows.filter(pl.col("temperature") > 0)
    hits = drawn.group_by("id", maintain_order=True).agg(pl.col("right").sum())["right"].to_list()
    for k in (2**power for power in range(samples.bit_length()) if 2**power <= samples):
        solved = [1 - comb(samples - count, k) / comb(samples, k) for count in hits]
        low, high = wilson(sum(solved), len(solved))
        yield replace(mean(TASK, f"pass@{k}", solved, part), low=low, high=high, note=f"{samples} draws of each")
    yield share(TASK, "format", drawn["formatted"].to_list(), part)
    yield share(TASK, "finished", (drawn["finish_reason"] == "stop").to_list(), part)
    yield mean(TASK, "tokens", drawn["tokens"].list.len().cast(pl.Float64()).to_list(), part)


def _report(measures: Sequence[Measure], rows: pl.DataFrame, config: EvaluateReasoningConfig) -> Iterator[str]:
    names = list(dict.fromkeys(one.metric for one in measures))
    found = {(one.part, one.metric): one for one in measures}
    yield "# How often the model solves problems\n"
    yield (
        f"Of problems that training did not have; draws at temperature {config.temperature:g}. Square brackets hold 95 % intervals. All "
        "figures: `scores.parquet`; all answers: `answers.parquet`.\n"
    )
    yield f"| problems | n | {' | '.join(names)} |"
    yield f"|---|{'---:|' * (len(names) + 1)}"
    for part in dict.fromkeys(one.part for one in measures):
        cells = [found[part, name] for name in names]
        yield f"| {part} | {cells[0].n} | {' | '.join(_cell(one) for one in cells)} |"
    yield "\n## Draws to look at\n"
    for verdict in (True, False):
        drawn = rows.filter(pl.col("temperature") > 0, pl.col("right") == verdict)
        for row in drawn.gather_every(max(1, drawn.height // SHOWN)).head(SHOWN).iter_rows(named=True):
            known = "" if verdict else f" (expected {short(row['expected'])})"
            yield f"- {'right' if verdict else 'wrong'}: {short(row['prompt'])} **{short(row['completion'])}**{known}"


def _cell(one: Measure) -> str:
    if one.metric == "tokens":
        return f"{one.value:.1f}"
    return f"{one.value:.3f}" + ("" if one.low is None or one.high is None else f" [{one.low:.3f}, {one.high:.3f}]")


EVALUATE_REASONING = Stage(name="evaluate_reasoning", version=2, run=run, config=EvaluateReasoningConfig, shape="whole")
