"""The leaderboard of an arena as a page for people: ratings with their intervals, and who beat whom how often."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from stages.evaluation.measures import wilson


def arena_report(board: pl.DataFrame, battles: pl.DataFrame, judge: str) -> str:
    return "\n".join(_lines(board, battles, judge)) + "\n"


def _lines(board: pl.DataFrame, battles: pl.DataFrame, judge: str) -> Iterator[str]:
    yield "# Arena\n"
    yield (
        f"{battles['id'].n_unique():,} prompts, {battles.height:,} battles, of which {battles['winner'].drop_nulls().len():,} decided. Judge: "
        f"{judge}. Ratings of Bradley and Terry on Elo's scale; square brackets hold 95 % intervals over prompts.\n"
    )
    yield "| model | rating | won | lost | tied | mean score | mean tokens |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for row in board.iter_rows(named=True):
        numbers = (
            f"{row['rating']:.0f} [{row['low']:.0f}, {row['high']:.0f}] | {row['wins']:,} | {row['losses']:,} | {row['ties']:,}"
        )
        score, tokens = (f"{row[name]:.3f}" if row[name] is not None else "" for name in ("score", "tokens"))
        yield f"| {row['model']} | {numbers} | {score} | {tokens} |"
    yield "\n## Who beat whom\n"
    yield "| | against | won, of those decided | decided | tied |"
    yield "|---|---|---:|---:|---:|"
    for (one, other), mine in battles.group_by("one", "other", maintain_order=True):
        decided = mine["winner"].drop_nulls()
        won = int((decided == one).sum())
        low, high = wilson(won, len(decided)) if len(decided) else (0.0, 1.0)
        share = f"{won / len(decided):.3f} [{low:.3f}, {high:.3f}]" if len(decided) else ""
        yield f"| {one} | {other} | {share} | {len(decided):,} | {mine.height - len(decided):,} |"
