"""The arena: any models answer the same prompts, a judge compares any two answers, and everybody gets a rating.

| input | what |
|---|---|
| prompts | an artifact of conversations: rows as `rollouts` asks them (stages/alignment/prompts.py) |
| crawl | of the judge `rubric`: the artifact of `simulate`, what is true |
| reward | of the judge `reward`: an artifact of `reward_model` |
| judgements | of the judge `person`, and then alone: the file that `winnow label` wrote over the answers of another arena |
| compute | mapping: device, threads |
| any other name | a model folder with its tokenizer that chats: a competitor of that name |

Out:

| file | |
|---|---|
| leaderboard.parquet | LEADERBOARD: a row for each model, the best first |
| battles.parquet | BATTLES: a row for each prompt and pair of models |
| answers.parquet | ANSWERS: what each model answered, and its score; people judge them by `winnow label`. Not of the judge `person` |
| scores.parquet | the same as measures (stages/evaluation/measures.py), task arena |
| report.md | the leaderboard, and who beat whom how often |

Every model gives one answer to each prompt, all with the same seed. The better score wins; scores that lie no further apart than `tie`
are a tie. Ratings are those of Bradley and Terry, a tie being half a win of each, on Elo's scale around 1000; intervals are percentiles of
ratings over prompts drawn anew with replacement, for battles over one prompt are not independent. A model's answers are kept when
finished, so that an arena that was killed goes on with the next.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import polars as pl
import torch
from pydantic import Field

from models.alignment.preference import Answer
from models.alignment.reward import load_reward_model, score
from stages.alignment.arena_report import arena_report
from stages.alignment.battles import BATTLES, LEADERBOARD, battles, judged, leaderboard, rated
from stages.alignment.judge import known, verdict
from stages.alignment.judgements import read
from stages.alignment.prompts import Selection, prompts
from stages.alignment.rollout import ROLLOUT, roll, table
from stages.alignment.rubric import Rubric
from stages.compute import Compute, compute_of
from stages.evaluation.evaluate import EvaluateBaseConfig, opened
from stages.evaluation.measures import SCORES, Measure, frame, mean, share
from stages.job import run_job
from stages.posttraining.world.made import BESIDE
from stages.pretraining.start import exact
from stages.stage import Config, Input, Stage
from stages.tokens.vocabulary import vocabulary
from storage.problem import Problem
from storage.shards import encode

DONE = ".answers"
AROUND = ("prompts", "crawl", "reward", "judgements", "compute")
ANSWERS: dict[str, pl.DataType] = {"model": pl.String(), **ROLLOUT, "score": pl.Float64()}


class ArenaConfig(Config):
    """Who judges, and what is asked."""

    judge: Literal["rubric", "reward", "person"] = "rubric"
    """The simulated judge, who knows what is true; a reward model; or people, who have judged."""
    rubric: Rubric = Rubric()
    """Of the simulated judge."""
    tie: float = Field(default=0.0, ge=0)
    """Scores no further apart are a tie."""
    select: Selection = Selection(split="test", kinds=("fact", "unknown"))
    """Which rows of the prompts are asked."""
    temperature: float = Field(1.0, ge=0)
    """0: the likeliest token each time."""
    tokens: int = Field(128, ge=1)
    """Longest answer."""
    rows: int = Field(64, ge=1)
    """Answers that are computed at a time: sums round differently in another company."""
    bootstrap: int = Field(1000, ge=10, le=100_000)
    """Samples of prompts for the intervals."""
    seed: int = Field(0, ge=0)
    """Of answers and samples."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Type of the mathematics."""


def run(inputs: Mapping[str, Any], out: Path, config: ArenaConfig) -> dict[str, Any]:
    """Have the job done; back: its figures. Raises Problem."""
    compute = compute_of(inputs.get("compute", {})).model_copy(update={"processes": 1})
    given = {name: value for name, value in inputs.items() if name != "compute"}
    return run_job("stages.alignment.arena:work", given, out, config, compute)


def work(inputs: Mapping[str, Any], out: Path, config: ArenaConfig, compute: Compute) -> dict[str, Any]:
    """The job."""
    exact(compute)
    if config.judge == "person":
        fought = _by_people(inputs)
        answers = pl.DataFrame(schema=ANSWERS)
        names = sorted({*fought["one"], *fought["other"]})
        unknown = {name: pl.lit(None, LEADERBOARD[name]) for name in ("score", "tokens")}
        board = rated(fought, names, config.bootstrap, config.seed).with_columns(**unknown)
    else:
        names = sorted(name for name in inputs if name not in AROUND)
        answers = _all_answers(names, inputs, out, config, compute)
        fought = battles(answers, names, config.tie)
        board = leaderboard(answers, fought, names, config.bootstrap, config.seed)
        (out / "answers.parquet").write_bytes(encode(answers, ANSWERS))
    measures = [*measured(answers, fought)]
    for name, rows, columns in (
        ("battles", fought, BATTLES),
        ("leaderboard", board, LEADERBOARD),
        ("scores", frame(measures), SCORES),
    ):
        (out / f"{name}.parquet").write_bytes(encode(rows, columns))
    (out / "report.md").write_text(arena_report(board, fought, config.judge), encoding="utf-8")
    first = board.row(0, named=True)
    return {"prompts": fought["id"].n_unique(), "battles": fought.height, "best": first["model"]} | {
        f"{one.part} {one.metric}": one.value for one in measures
    }


def _by_people(inputs: Mapping[str, Any]) -> pl.DataFrame:
    """The columns BATTLES. Raises Problem where people have not compared models."""
    if "judgements" not in inputs:
        raise Problem(
            "the judge person needs the input `judgements`; give the file that `winnow label` wrote, or choose another judge"
        )
    given = inputs["judgements"]
    paths = [given.folder / name for name in given.names] if isinstance(given, Input) else [given]
    fought = judged([row for path in paths for row in read(path)])
    if fought.is_empty():
        raise Problem(
            f"found no two answers of different models in {', '.join(path.name for path in paths)}; expected judgements of the answers of an "
            "arena: winnow label arena@latest"
        )
    return fought


def _all_answers(names: list[str], inputs: Mapping[str, Any], out: Path, config: ArenaConfig, compute: Compute) -> pl.DataFrame:
    """The columns ANSWERS of all models. Raises Problem where nobody can fight, or judge."""
    if len(names) < 2:
        raise Problem(
            f"{', '.join(names) or 'nobody'} is in the arena; expected two models or more, each under a name of its own"
        )
    wanted = "crawl" if config.judge == "rubric" else "reward"
    if wanted not in inputs:
        raise Problem(f"the judge {config.judge} needs the input `{wanted}`; give it, or choose another judge")
    (out / DONE).mkdir(exist_ok=True)
    for number, name in enumerate(names):
        kept = out / DONE / f"{name}.parquet"
        if not kept.exists():
            unfinished = kept.with_suffix(".partial")
            unfinished.write_bytes(encode(_answers(name, inputs, config, compute), ANSWERS))
            unfinished.replace(kept)
        with (out / ".progress.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"done": number + 1, "total": len(names), "unit": "models", "text": name}) + "\n")
    return pl.concat(pl.read_parquet(out / DONE / f"{name}.parquet") for name in names)


def measured(answers: pl.DataFrame, fought: pl.DataFrame) -> Iterator[Measure]:
    """Of each model its mean score; of each pair, both ways, how many battles were decided, and of these the share that was won."""
    for (name,), mine in answers.group_by("model", maintain_order=True):
        if scores := mine["score"].drop_nulls().to_list():
            yield mean(ARENA.name, "score", scores, str(name))
    for (one, other), mine in fought.group_by("one", "other", maintain_order=True):
        winners = mine["winner"].drop_nulls()
        yield share(ARENA.name, "decided", mine["winner"].is_not_null().to_list(), f"{one} and {other}")
        if len(winners):
            yield share(ARENA.name, "won", (winners == one).to_list(), f"{one} over {other}")
            yield share(ARENA.name, "won", (winners == other).to_list(), f"{other} over {one}")


def _answers(name: str, inputs: Mapping[str, Any], config: ArenaConfig, compute: Compute) -> pl.DataFrame:
    """The columns ANSWERS of a model."""
    model, tokenizer = opened(inputs[name], EvaluateBaseConfig(precision=config.precision), compute)
    asked = prompts(inputs["prompts"].shards, config.select, tokenizer, model.shape.context - 1)
    told = table(
        roll(model, tokenizer, asked, 1, config.tokens, config.temperature, config.rows, config.seed), config.temperature
    )
    if config.judge == "rubric":
        if told["kind"].null_count():
            raise Problem(
                "found prompts without a kind, of which the judge `rubric` does not know what a right answer is; expected the world's own "
                "conversations, or the judge `reward`"
            )
        world = known(inputs["crawl"])
        columns = ("id", *BESIDE, "messages", "tokens")
        scores = [verdict(row, tokenizer, world, config.rubric)["score"] for row in told.select(columns).iter_rows(named=True)]
    else:
        scores = _rewards(told, inputs["reward"], inputs[name], config, model.output_weight.device)
    return told.with_columns(pl.lit(name).alias("model"), pl.Series("score", scores, pl.Float64())).select(list(ANSWERS))


def _rewards(told: pl.DataFrame, reward: Input, competitor: Input, config: ArenaConfig, device: torch.device) -> list[float]:
    if vocabulary(reward).digest != vocabulary(competitor).digest:
        raise Problem("the reward model has another tokenizer than a competitor; expected one vocabulary of all")
    judge = load_reward_model(reward.folder, getattr(torch, config.precision), device).eval()
    return score(judge, [Answer(*row) for row in told.select("prompt_tokens", "tokens").iter_rows()])


ARENA = Stage(name="arena", version=1, run=run, config=ArenaConfig, shape="whole")
