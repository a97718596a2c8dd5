"""Differences to a baseline with their intervals, as an SVG picture that stands alone: a forest plot, one panel for each measure and set."""

from collections.abc import Mapping
from html import escape

import polars as pl

WIDTH, LEFT, RIGHT, ROW, HEAD = 760, 250, 90, 24, 46
COLOURS = {"better": "#1f7a4d", "worse": "#b3541e", "undecided": "#777"}


def plot(table: pl.DataFrame, baseline: str, lower_is_better: Mapping[str, bool]) -> str:
    """`table`: the columns of COMPARISON."""
    panels: list[str] = []
    top = 0
    for where, measure in table.select("set", "measure").unique(maintain_order=True).iter_rows():
        rows = table.filter((pl.col("set") == where) & (pl.col("measure") == measure) & (pl.col("verdict") != "baseline"))
        better = "left is better" if lower_is_better[measure] else "right is better"
        panels.append(
            f'<g transform="translate(0 {top})">{_panel(rows, f"{measure} on {where}, minus {baseline} ({better})")}</g>'
        )
        top += HEAD + ROW * rows.height + 26
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {max(top, 1)}" font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(panels)}</svg>\n'
    )


def _panel(rows: pl.DataFrame, title: str) -> str:
    ends = [abs(value) for name in ("difference", "low", "high") for value in rows[name].to_list() if value is not None]
    most = max(ends, default=0.0) * 1.1 or 1.0

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (value / most + 1) / 2

    bottom = HEAD + ROW * rows.height
    parts = [f'<text x="12" y="22" font-weight="bold">{escape(title)}</text>']
    parts.append(f'<path d="M{x(0):.1f} {HEAD - 14}V{bottom}" stroke="#999" stroke-dasharray="3 3"/>')
    for place, row in enumerate(rows.iter_rows(named=True)):
        y, colour = HEAD + ROW * place + 4, COLOURS[row["verdict"]]
        parts.append(f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(row["variant"])}</text>')
        if row["low"] is not None:
            parts.append(f'<path d="M{x(row["low"]):.1f} {y}H{x(row["high"]):.1f}" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<circle cx="{x(row["difference"]):.1f}" cy="{y}" r="5" fill="{colour}"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 10}" y="{y + 4}">{row["difference"]:+.4f}</text>')
    return "".join(parts)
