"""Battles between models, judged by scores or by people, and the ratings that come of them.

In: the scores of answers to the same prompts, or judgements of people (`judgements.py`). Out: BATTLES, a row for each prompt and pair of
models, and LEADERBOARD. Ratings are those of Bradley and Terry, a tie being half a win of each, on Elo's scale around 1000; intervals are
percentiles of ratings over prompts drawn anew with replacement, for battles over one prompt are not independent.

Q prompts, S samples of them, M models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
import torch

from models.alignment.bradley_terry import elo, ratings

BATTLES: dict[str, pl.DataType] = {
    "id": pl.String(),  # of the prompt
    "one": pl.String(),
    "other": pl.String(),
    "one_score": pl.Float64(),
    "other_score": pl.Float64(),
    "winner": pl.String(),  # null: a tie
}
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


def judged(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """The columns BATTLES of what people judged: any two answers of different models; ranks stand for scores."""
    found = []
    for row in rows:
        models = row.get("models") or []
        for places in combinations(range(len(models)), 2):
            a, b = sorted(places, key=lambda place: str(models[place]))
            if models[a] != models[b]:
                scores = (-float(row["ranks"][a]), -float(row["ranks"][b]))
                winner = None if scores[0] == scores[1] else models[a] if scores[0] > scores[1] else models[b]
                found.append((str(row["item"]), models[a], models[b], *scores, winner))
    return pl.DataFrame(found, schema=BATTLES, orient="row")


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
