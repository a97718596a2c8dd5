"""Which variant of a corpus makes the better model: all variants against one of them, by pairs of models trained from the same seed.

In: for each variant, seed and validation set an artifact of `evaluate_base`, under the name `variant/seed/set`; for each variant and
seed the base model's artifact under `variant/seed`; for each variant its packed tokens under `variant`. Out:

| file | |
|---|---|
| comparison.parquet | a row for each variant and measure: COMPARISON |
| measured.parquet | a row for each model and measure: MEASURED |
| comparison.svg | the differences with their intervals |
| report.md | the same in words: what earns its place |

A variant is better or worse only where the 95 % interval of the mean difference (Student's t over seeds, paired) leaves zero out. One
seed has no interval, and nothing is ranked. Source: Dror et al. 2018, "The Hitchhiker's Guide to Testing Statistical Significance in NLP".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field

from stages.ablation.plot import plot
from stages.evaluation.measures import interval
from stages.stage import Config, Input, Stage
from storage.problem import Problem
from storage.shards import encode, read_parquet

MEASURED: dict[str, pl.DataType] = {
    "variant": pl.String(),
    "seed": pl.Int64(),
    "set": pl.String(),  # which validation set
    "measure": pl.String(),  # bits_per_byte, or cloze accuracy
    "value": pl.Float64(),
}
COMPARISON: dict[str, pl.DataType] = {
    "variant": pl.String(),
    "set": pl.String(),
    "measure": pl.String(),
    "mean": pl.Float64(),  # over seeds
    "difference": pl.Float64(),  # to the baseline, mean of pairs
    "low": pl.Float64(),  # 95 % interval of the difference; null with one seed
    "high": pl.Float64(),
    "seeds": pl.Int64(),
    "verdict": pl.String(),  # better, worse, undecided, baseline
    "epochs": pl.Float64(),  # how often the variant's tokens were read
    "train_tokens": pl.Int64(),  # tokens there are to read
}
WANTED = {("bits_per_byte", "held_out", "bits_per_byte"): "bits_per_byte", ("cloze", "withheld", "accuracy"): "cloze_accuracy"}
LOWER_IS_BETTER = {"bits_per_byte": True, "cloze_accuracy": False}


class CompareConfig(Config):
    """What everything is compared with."""

    baseline: str = Field(min_length=1)
    """Name of the variant that the others are compared with."""


def run(inputs: Mapping[str, Input], out: Path, config: CompareConfig) -> dict[str, int]:
    """Write the comparison. Returns counts of variants, seeds and decided differences. Raises Problem where the baseline is missing."""
    measured = pl.concat([_scores(name, given) for name, given in inputs.items() if name.count("/") == 2])
    variants = list(dict.fromkeys(measured["variant"].to_list()))
    if config.baseline not in variants:
        raise Problem(f"the baseline is {config.baseline!r}; expected one of {', '.join(variants)}")
    epochs = {name: _epochs(inputs, name) for name in variants}
    rows = [
        _compared(measured, config.baseline, variant, str(where), str(measure), *epochs[variant])
        for variant in [config.baseline, *(name for name in variants if name != config.baseline)]
        for where, measure in measured.select("set", "measure").unique(maintain_order=True).iter_rows()
    ]
    table = pl.DataFrame(rows, schema=COMPARISON, orient="row").sort("measure", "set", maintain_order=True)
    (out / "measured.parquet").write_bytes(encode(measured, MEASURED))
    (out / "comparison.parquet").write_bytes(encode(table, COMPARISON))
    (out / "comparison.svg").write_text(plot(table, config.baseline, LOWER_IS_BETTER), encoding="utf-8")
    (out / "report.md").write_text(report(table, config.baseline), encoding="utf-8")
    decided = table.filter(pl.col("verdict").is_in(["better", "worse"])).height
    return {
        "variants": len(variants),
        "seeds": measured["seed"].n_unique(),
        "decided": decided,
        "compared": table.height - len(epochs),
    }


def _scores(name: str, given: Input) -> pl.DataFrame:
    variant, seed, where = name.split("/")
    scores = read_parquet(str(given.folder / "scores.parquet"))
    rows = [
        (variant, int(seed), "world facts" if measure == "cloze_accuracy" else where, measure, row["value"])
        for row in scores.iter_rows(named=True)
        if (measure := WANTED.get((row["task"], row["part"], row["metric"])))
    ]
    return pl.DataFrame(rows, schema=MEASURED, orient="row")


def _epochs(inputs: Mapping[str, Input], variant: str) -> tuple[float, int]:
    """(how often the variant's tokens were read, how many there are)."""
    packed = inputs[variant]
    there = 0
    for path in packed.shards:
        if path.name.startswith("train"):
            there += int(pl.scan_parquet(path).select(pl.col("used").cast(pl.Int64).sum()).collect().item())
    model = next(given for name, given in inputs.items() if name.startswith(f"{variant}/") and name.count("/") == 1)
    read = read_parquet(str(model.folder / "metrics.parquet"), ["tokens"])["tokens"].max()
    assert isinstance(read, int)
    return read / max(there, 1), there


def _compared(
    measured: pl.DataFrame, baseline: str, variant: str, where: str, measure: str, epochs: float, tokens: int
) -> tuple[object, ...]:
    mine, base = (
        measured.filter((pl.col("variant") == name) & (pl.col("set") == where) & (pl.col("measure") == measure))
        for name in (variant, baseline)
    )
    pairs = mine.join(base, on="seed", suffix="_base")
    differences = (pairs["value"] - pairs["value_base"]).to_numpy()
    mean = float(np.mean(mine["value"].to_numpy()))
    if variant == baseline:
        return variant, where, measure, mean, 0.0, None, None, len(differences), "baseline", epochs, tokens
    difference, low, high = interval(differences)
    verdict = "undecided"
    if low is not None and high is not None and (low > 0 or high < 0):
        verdict = "better" if (difference < 0) == LOWER_IS_BETTER[measure] else "worse"
    return variant, where, measure, mean, difference, low, high, len(differences), verdict, epochs, tokens


def report(table: pl.DataFrame, baseline: str) -> str:
    """For a person: what each variant does to each measure."""
    seeds = int(table["seeds"].to_list()[0])
    lines = [
        f"# Corpora compared: the same model, tokens and {seeds} seed{'s' if seeds != 1 else ''}, against `{baseline}`",
        "Fewer bits per byte are better, more right cloze answers are better. Intervals: 95 %, Student's t over pairs of the same seed."
        + (" One seed has no interval: nothing is ranked." if seeds == 1 else ""),
        "| variant | measured on | measure | mean | difference | 95 % interval | verdict | epochs |\n|---|---|---|--:|--:|---|---|--:|\n"
        + "\n".join(_line(row) for row in table.iter_rows(named=True)),
    ]
    for verdict in ("better", "worse"):
        found = table.filter(pl.col("verdict") == verdict).sort(pl.col("difference").abs(), descending=True)
        if found.height:
            lines.append(
                f"{verdict.capitalize()} than `{baseline}`: "
                + "; ".join(
                    f"`{row['variant']}` on {row['set']} ({row['difference']:+.4f})" for row in found.iter_rows(named=True)
                )
            )
    if table.filter(pl.col("verdict").is_in(["better", "worse"])).is_empty():
        lines.append("No difference is larger than what chance does: no variant is ranked. More seeds or more tokens tell more.")
    return "\n\n".join(lines) + "\n"


def _line(row: Mapping[str, Any]) -> str:
    bounds = "" if row["low"] is None else f"{row['low']:+.4f} .. {row['high']:+.4f}"
    return (
        f"| {row['variant']} | {row['set']} | {row['measure']} | {row['mean']:.4f} | {row['difference']:+.4f} | {bounds} | {row['verdict']} "
        f"| {row['epochs']:.2f} |"
    )


COMPARE = Stage(name="compare", version=1, run=run, config=CompareConfig, shape="whole")
"""The end of an ablation."""
