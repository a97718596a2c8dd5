"""What a reward model is worth: accuracy on held-out pairs, whether its certainty is deserved, and how much of it is length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import spearmanr

from stages.alignment.reward_model import CALIBRATION
from stages.evaluation.measures import wilson


def calibration(held_out: pl.DataFrame, bins: int) -> pl.DataFrame:
    """The columns CALIBRATION, a row for each bin. The model gives the answer that it holds better a probability of one half or more."""
    apart = (held_out["chosen_score"] - held_out["rejected_score"]).to_numpy()
    sure = 1 / (1 + np.exp(-np.abs(apart)))
    edges = np.linspace(0.5, 1, bins + 1)
    place = np.clip(np.digitize(sure, edges) - 1, 0, bins - 1)
    rows = []
    for number in range(bins):
        mine = place == number
        means = (float(sure[mine].mean()), float((apart[mine] > 0).mean())) if mine.any() else (None, None)
        rows.append((float(edges[number]), float(edges[number + 1]), int(mine.sum()), *means))
    return pl.DataFrame(rows, schema=CALIBRATION, orient="row")


def expected_error(table: pl.DataFrame) -> float:
    """Mean distance between confidence and accuracy, each bin by its pairs."""
    filled = table.filter(pl.col("pairs") > 0)
    distance = (filled["confidence"] - filled["accuracy"]).abs() * filled["pairs"]
    return float(distance.sum()) / float(filled["pairs"].sum())


def correlations(held_out: pl.DataFrame, table: pl.DataFrame) -> dict[str, Any]:
    """The figures of the report. Correlations are null where all scores or lengths are alike."""
    right = held_out["right"]
    low, high = wilson(int(right.sum()), held_out.height)
    scores = np.concatenate([held_out["chosen_score"].to_numpy(), held_out["rejected_score"].to_numpy()])
    lengths = np.concatenate([held_out["chosen_tokens"].to_numpy(), held_out["rejected_tokens"].to_numpy()])
    varied = scores.std() > 0 and lengths.std() > 0
    longer = held_out.filter(pl.col("chosen_tokens") > pl.col("rejected_tokens"))
    shorter = held_out.filter(pl.col("chosen_tokens") < pl.col("rejected_tokens"))
    unequal = longer.height + shorter.height
    scored_longer = int(longer["right"].sum()) + shorter.height - int(shorter["right"].sum())
    return {
        "held_out_pairs": held_out.height,
        "accuracy": float(right.mean()),  # type: ignore[arg-type]
        "accuracy_low": low,
        "accuracy_high": high,
        "calibration_error": expected_error(table),
        "length_correlation": float(np.corrcoef(scores, lengths)[0, 1]) if varied else None,
        "length_rank_correlation": float(spearmanr(scores, lengths).statistic) if varied else None,
        "longer_chosen": longer.height / unequal if unequal else None,
        "longer_scored_higher": scored_longer / unequal if unequal else None,
        "accuracy_chosen_longer": float(longer["right"].mean()) if longer.height else None,  # type: ignore[arg-type]
        "accuracy_chosen_shorter": float(shorter["right"].mean()) if shorter.height else None,  # type: ignore[arg-type]
    }


def report(told: Mapping[str, Any], table: pl.DataFrame) -> str:
    def said(name: str) -> str:
        return "none" if told[name] is None else f"{told[name]:.3f}"

    lines = [
        "# The reward model on pairs that it has not seen\n",
        f"It scores the chosen answer higher in {said('accuracy')} [{said('accuracy_low')}, {said('accuracy_high')}] of "
        f"{told['held_out_pairs']:,} pairs; a coin reaches .5.\n",
        "## Is its certainty deserved?\n",
        f"Expected calibration error {said('calibration_error')}: how far the probability that it gives the answer that it holds better lies "
        "from how often that answer was chosen.\n",
        "| probability | pairs | mean probability | chosen |",
        "|---|---:|---:|---:|",
    ]
    for row in table.iter_rows(named=True):
        shown = ("", "") if not row["pairs"] else (f"{row['confidence']:.3f}", f"{row['accuracy']:.3f}")
        lines.append(f"| {row['low']:.2f} to {row['high']:.2f} | {row['pairs']} | {shown[0]} | {shown[1]} |")
    lines += [
        "\n## How much of it is length?\n",
        "| | |",
        "|---|---:|",
        f"| correlation of score and tokens | {said('length_correlation')} |",
        f"| of their ranks | {said('length_rank_correlation')} |",
        f"| pairs of unequal length in which people chose the longer answer | {said('longer_chosen')} |",
        f"| in which the model scores the longer one higher | {said('longer_scored_higher')} |",
        f"| accuracy where the chosen answer is the longer one | {said('accuracy_chosen_longer')} |",
        f"| where it is the shorter one | {said('accuracy_chosen_shorter')} |",
    ]
    return "\n".join(lines) + "\n"
