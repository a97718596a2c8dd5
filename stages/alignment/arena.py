"""The arena: any models answer the same prompts, a judge compares any two answers, and everybody gets a rating.

| input | what |
|---|---|
| prompts | an artifact of conversations: rows as `rollouts` asks them (stages/alignment/prompts.py) |
| crawl | of the judge `rubric`: the artifact of `simulate`, what is true |
| reward | of the judge `reward`: an artifact of `reward_model` |
| compute | mapping: device, threads |
| any other name | a model folder with its tokenizer that chats: a competitor of that name |

Out:

| file | |
|---|---|
| leaderboard.parquet | LEADERBOARD: a row for each model, the best first |
| battles.parquet | BATTLES: a row for each prompt and pair of models |
| answers.parquet | ANSWERS: what each model answered, and its score; `winnow label` takes this file, for people to judge |
| report.md | the leaderboard, and who beat whom how often |

Every model gives one answer to each prompt, all with the same seed. The better score wins; scores that lie no further apart than `tie`
are a tie. Ratings are those of Bradley and Terry, a tie being half a win of each, on Elo's scale around 1000; intervals are percentiles of
ratings over prompts drawn anew with replacement, for battles over one prompt are not independent. A model's answers are kept when
finished, so that an arena that was killed goes on with the next.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from pydantic import Field

from models.alignment.bradley_terry import elo, ratings
from models.alignment.preference import Answer
from models.alignment.reward import load_reward_model, score
from stages.alignment.arena_report import arena_report
from stages.alignment.judge import known, verdict
from stages.alignment.prompts import Selection, prompts
from stages.alignment.rollout import ROLLOUT, roll, table
from stages.alignment.rubric import Rubric
from stages.compute import Compute, compute_of
from stages.evaluation.evaluate import EvaluateBaseConfig, opened
from stages.job import run_job
from stages.posttraining.world.made import BESIDE
from stages.pretraining.start import exact
from stages.stage import Config, Input, Stage
from stages.tokens.vocabulary import vocabulary
from storage.problem import Problem
from storage.shards import encode

DONE = ".answers"
AROUND = ("prompts", "crawl", "reward", "compute")
LEADERBOARD: dict[str, pl.DataType] = {
    "model": pl.String(),
    "rating": pl.Float64(),
    "low": pl.Float64(),  # of the interval of 95 %
    "high": pl.Float64(),
    "battles": pl.Int64(),
    "wins": pl.Int64(),
    "losses": pl.Int64(),
    "ties": pl.Int64(),
    "score": pl.Float64(),  # mean of its answers
    "tokens": pl.Float64(),  # mean length of its answers
}
BATTLES: dict[str, pl.DataType] = {
    "id": pl.String(),  # of the prompt
    "one": pl.String(),
    "other": pl.String(),
    "one_score": pl.Float64(),
    "other_score": pl.Float64(),
    "winner": pl.String(),  # null: a tie
}
ANSWERS: dict[str, pl.DataType] = {"model": pl.String(), **ROLLOUT, "score": pl.Float64()}


class ArenaConfig(Config):
    """Who judges, and what is asked."""

    judge: Literal["rubric", "reward"] = "rubric"
    """The simulated judge, who knows what is true; or a reward model."""
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
    names = sorted(name for name in inputs if name not in AROUND)
    if len(names) < 2:
        raise Problem(
            f"{', '.join(names) or 'nobody'} is in the arena; expected two models or more, each under a name of its own"
        )
    wanted = "crawl" if config.judge == "rubric" else "reward"
    if wanted not in inputs:
        raise Problem(f"the judge {config.judge} needs the input `{wanted}`; give it, or choose the other judge")
    (out / DONE).mkdir(exist_ok=True)
    for number, name in enumerate(names):
        kept = out / DONE / f"{name}.parquet"
        if not kept.exists():
            unfinished = kept.with_suffix(".partial")
            unfinished.write_bytes(encode(_answers(name, inputs, config, compute), ANSWERS))
            unfinished.replace(kept)
        with (out / ".progress.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"done": number + 1, "total": len(names), "unit": "models", "text": name}) + "\n")
    answers = pl.concat(pl.read_parquet(out / DONE / f"{name}.parquet") for name in names)
    fought = battles(answers, names, config.tie)
    board = leaderboard(answers, fought, names, config.bootstrap, config.seed)
    for name, frame, columns in (
        ("answers", answers, ANSWERS),
        ("battles", fought, BATTLES),
        ("leaderboard", board, LEADERBOARD),
    ):
        (out / f"{name}.parquet").write_bytes(encode(frame, columns))
    (out / "report.md").write_text(arena_report(board, fought, config.judge), encoding="utf-8")
    decided = fought["winner"].drop_nulls().len()
    first = board.row(0, named=True)
    return {"prompts": fought["id"].n_unique(), "battles": fought.height, "decided": decided, "best": first["model"]} | {
        f"{row['model']} rating": row["rating"] for row in board.iter_rows(named=True)
    }


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


def battles(answers: pl.DataFrame, names: Sequence[str], tie: float) -> pl.DataFrame:
    """The columns BATTLES: any two models over each prompt that both have answered."""
    mine = {name: answers.filter(pl.col("model") == name).select("id", "score") for name in names}
    found = []
    for one, other in combinations(names, 2):
        both = mine[one].join(mine[other], on="id", how="inner", maintain_order="left")
        ahead = pl.col("score") - pl.col("score_right")
        winner = pl.when(ahead > tie).then(pl.lit(one)).when(ahead < -tie).then(pl.lit(other))
        found.append(
            both.select(
                pl.col("id"), pl.lit(one).alias("one"), pl.lit(other).alias("other"), pl.col("score").alias("one_score"),
                pl.col("score_right").alias("other_score"), winner.alias("winner"),
            )
        )  # fmt: skip
    return pl.concat(found).cast(BATTLES)  # type: ignore[arg-type]


def leaderboard(answers: pl.DataFrame, fought: pl.DataFrame, names: Sequence[str], samples: int, seed: int) -> pl.DataFrame:
    """The columns LEADERBOARD, the best first. `answers`: columns model, score, tokens."""
    board = rated(fought, names, samples, seed)
    # One by one: the sums of a group_by round in an order of their own each time.
    each = [answers.filter(pl.col("model") == name) for name in board["model"]]
    scores, lengths = [own["score"].mean() for own in each], [own["tokens"].list.len().mean() for own in each]
    return board.with_columns(score=pl.Series(scores, dtype=pl.Float64()), tokens=pl.Series(lengths, dtype=pl.Float64()))


def rated(fought: pl.DataFrame, names: Sequence[str], samples: int, seed: int) -> pl.DataFrame:
    """The columns LEADERBOARD but those of the answers, the best first. Raises Unusable where not all are joined by battles."""
    wins_QMM = _wins(fought, names)
    found = elo(ratings(torch.from_numpy(wins_QMM.sum(0)))).numpy()
    rng = np.random.default_rng(seed)
    prompts = len(wins_QMM)
    drawn = rng.multinomial(prompts, np.full(prompts, 1 / prompts), samples)  # how often each prompt is in each sample
    wins_SMM = np.einsum("sq,qmn->smn", drawn.astype(float), wins_QMM)
    wins_SMM += 1e-9 * (wins_QMM + wins_QMM.swapaxes(1, 2)).sum(0)  # who met stays joined in samples in which they do not
    low, high = np.percentile(elo(ratings(torch.from_numpy(wins_SMM))).numpy(), (2.5, 97.5), axis=0)
    rows = []
    for place, name in enumerate(names):
        mine = fought.filter((pl.col("one") == name) | (pl.col("other") == name))
        won, tied = int((mine["winner"] == name).sum()), mine["winner"].null_count()
        counts = (mine.height, won, mine.height - won - tied, tied)
        rows.append((name, float(found[place]), float(low[place]), float(high[place]), *counts))
    schema = {name: kind for name, kind in LEADERBOARD.items() if name not in ("score", "tokens")}
    return pl.DataFrame(rows, schema=schema, orient="row").sort("rating", descending=True, maintain_order=True)


def _wins(fought: pl.DataFrame, names: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """[prompts, M, M]: of each prompt, wins of the first over the second, ties as halves."""
    place = {name: number for number, name in enumerate(names)}
    prompt = {identity: number for number, identity in enumerate(fought["id"].unique(maintain_order=True))}
    out = np.zeros((len(prompt), len(names), len(names)))
    for identity, one, other, winner in fought.select("id", "one", "other", "winner").iter_rows():
        at, i, j = prompt[identity], place[one], place[other]
        out[at, i, j] += 0.5 if winner is None else float(winner == one)
        out[at, j, i] += 0.5 if winner is None else float(winner == other)
    return out


ARENA = Stage(name="arena", version=1, run=run, config=ArenaConfig, shape="whole")
