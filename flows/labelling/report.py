"""What came of labelling: who judged how much, how far they agree, and, where the answers are of different models, who is liked best."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from flows.labelling.judgements import values
from models.unusable import Unusable
from stages.alignment.agreement import agreements
from stages.alignment.battles import judged, rated

SAMPLES = 1000


def report(rows: Sequence[dict[str, Any]]) -> str:
    """As Markdown. `rows`: judgements that count."""
    return "\n".join(_lines(rows)) + "\n"


def _lines(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    counted = Counter(str(row["annotator"]) for row in rows)
    yield "| annotator | items judged |"
    yield "|---|---:|"
    yield from (f"| {name} | {count} |" for name, count in sorted(counted.items()))
    found = agreements(values(rows))
    if found:
        yield "\n| agreement of | items | pairs | the same | Cohen's kappa |"
        yield "|---|---:|---:|---:|---:|"
        for one in found:
            kappa = "none" if one.kappa is None else f"{one.kappa:.2f}"
            yield f"| {one.one} and {one.other} | {one.items} | {one.pairs} | {one.same:.2f} | {kappa} |"
    else:
        yield "\nNo item was judged by two people yet: run it again with another --name and the same --to, and agreement is shown here."
    fought = judged(rows)
    if fought.height:
        yield "\n| model | rating | 95 % | won | lost | tied |"
        yield "|---|---:|---|---:|---:|---:|"
        try:
            board = rated(fought, sorted({*fought["one"], *fought["other"]}), SAMPLES, seed=0)
        except Unusable as error:
            yield f"\nNo ratings: {error}"
            return
        for row in board.iter_rows(named=True):
            rating = f"{row['rating']:.0f} | [{row['low']:.0f}, {row['high']:.0f}]"
            yield f"| {row['model']} | {rating} | {row['wins']} | {row['losses']} | {row['ties']} |"
