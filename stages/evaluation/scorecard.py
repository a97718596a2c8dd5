"""A scorecard: the same measures of a model at several moments of its making, over one or more seeds.

In: artifacts of evaluations (their `scores.parquet`, see stages/evaluation/measures.py), each under the name `moment/seed`, several of one moment and seed
under `moment/seed/what`; moments come in
the order in which they are given. Out: `report.md`, a table with a column for each moment, and `scorecard.parquet`:

| column | type | meaning |
|---|---|---|
| task, part, metric | string | the measure |
| moment | string | when in the making: "base", "chat" |
| value | f64 | mean over the seeds |
| low, high | f64 | 95 % interval: with one seed that of the measure, with several Student's t over their values |
| n | i64 | cases of each seed, the fewest |
| seeds | i64 | how many |

What one seed shows may be luck of the training; the interval of one measure speaks only of the questions that were drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from stages.evaluation.measures import SCORES, interval
from stages.stage import Config, Input, Stage
from storage.problem import Problem
from storage.shards import encode, read_parquet

CARD: dict[str, pl.DataType] = {
    "task": pl.String(),
    "part": pl.String(),
    "metric": pl.String(),
    "moment": pl.String(),
    "value": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "n": pl.Int64(),
    "seeds": pl.Int64(),
}


class ScorecardConfig(Config):
    """The order of the columns."""

    moments: tuple[str, ...] = ()
    """Moments in the order of the making; empty: by name."""
    leave_out: tuple[str, ...] = ()
    """Parts whose measures are not shown."""


def run(inputs: Mapping[str, Input], out: Path, config: ScorecardConfig) -> dict[str, Any]:
    """Write the card. Back: each mean of the last moment, by part and metric. Raises Problem on names without a seed."""
    frames = [_scores(name, given) for name, given in inputs.items()]
    if not frames:
        raise Problem("found no evaluation; expected at least one, under a name such as base/0")
    measured = pl.concat(frames).filter(~pl.col("part").is_in(config.leave_out).fill_null(False))
    found = measured["moment"].unique().sort().to_list()
    moments = [*config.moments] or found
    if set(moments) != set(found):
        raise Problem(f"moments are {', '.join(moments)}; expected those of the evaluations: {', '.join(found)}")
    card = _card(measured, moments)
    (out / "scorecard.parquet").write_bytes(encode(card, CARD))
    (out / "report.md").write_text("\n".join(_lines(card, moments)) + "\n", encoding="utf-8")
    last = card.filter(pl.col("moment") == moments[-1])
    return {"seeds": max(card["seeds"].to_list())} | {
        f"{row['part'] or row['task']} {row['metric']}": row["value"] for row in last.iter_rows(named=True)
    }


def _scores(name: str, given: Input) -> pl.DataFrame:
    moment, _, rest = name.partition("/")
    seed = rest.partition("/")[0]
    if not moment or not seed.isdigit():
        raise Problem(f"an evaluation is called {name!r}; expected a moment and a seed, such as base/0")
    scores = read_parquet(str(given.folder / "scores.parquet"), list(SCORES))
    return scores.with_columns(moment=pl.lit(moment), seed=pl.lit(int(seed)))


def _card(measured: pl.DataFrame, moments: Sequence[str]) -> pl.DataFrame:
    """Measures in the order of the last moment, which has most; of each the moments in theirs."""
    rows: list[tuple[Any, ...]] = []
    names = ["task", "part", "metric"]
    late_first = pl.concat([measured.filter(pl.col("moment") == moment) for moment in reversed(moments)])
    for key in late_first.select(names).unique(maintain_order=True).iter_rows():
        mine = measured.filter(
            pl.all_horizontal(pl.col(name).eq_missing(pl.lit(value)) for name, value in zip(names, key, strict=True))
        )
        for moment in moments:
            some = mine.filter(pl.col("moment") == moment).sort("seed")
            if not some.height:
                continue
            value, low, high = interval(some["value"].to_numpy())
            if some.height == 1:
                low, high = some["low"][0], some["high"][0]
            rows.append((*key, moment, value, low, high, some["n"].min(), some.height))
    return pl.DataFrame(rows, schema=CARD, orient="row")


def _lines(card: pl.DataFrame, moments: Sequence[str]) -> Iterator[str]:
    seeds = max(card["seeds"].to_list())
    yield "# Before and after\n"
    if seeds == 1:
        yield "One seed; square brackets hold the 95 % interval of each measure over its questions.\n"
    else:
        yield f"Means over {seeds} seeds; square brackets hold the 95 % interval of the mean (Student's t).\n"
    yield f"| questions | measure | {' | '.join(moments)} | n |"
    yield f"|---|---|{'---:|' * len(moments)}---:|"
    for rows in card.partition_by("task", "part", "metric", maintain_order=True):
        some = rows.to_dicts()
        cells = {row["moment"]: _cell(row) for row in some}
        name, metric, n = some[0]["part"] or some[0]["task"], some[0]["metric"], max(row["n"] for row in some)
        yield f"| {name} | {metric} | {' | '.join(cells.get(moment, '') for moment in moments)} | {n} |"


def _cell(row: Mapping[str, Any]) -> str:
    around = "" if row["low"] is None else f" [{row['low']:.3f}, {row['high']:.3f}]"
    return f"{row['value']:.3f}{around}"


SCORECARD = Stage(name="scorecard", version=1, run=run, config=ScorecardConfig, shape="whole")
