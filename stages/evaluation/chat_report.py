"""The evaluation of a chat model as a page for people: rates with their intervals, and conversations to look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from stages.evaluation.measures import Measure
from stages.evaluation.report import About

SHOWN = 2
"""Right answers shown of each kind, and as many wrong ones."""
WIDTH = 160

SECTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "What it knows": (
        "*Known*: facts that training asked for. *Never asked*: other facts about the same people and towns, which it can know only from "
        "what it read before. *Refused* is the share that it says it does not know: of what exists, wrongly; of what does not, rightly.",
        ("known", "never asked", "follow-up", "change", "unknown", "unknown person", "unknown town"),
    ),
    "Sums, worked out before the answer": (
        "Problems that training did not have.",
        ("1 step", "2 steps", "3 steps", "5 steps"),
    ),
    "Tools": (
        "Called where it is needed, and then the right answer. *Search without result*: what was found does not answer. *With retrieval*: the "
        "facts that training never asked, once more with `search` listed.",
        ("tool needed", "python", "search", "search without result", "without retrieval", "with retrieval", "tool not needed"),
    ),
    "Looking back": ("Texts of made-up words, said again to the letter.", ("repeat",)),
    "Who it is": ("", ("identity", "name", "maker", "what")),
    "Turns": ("Those that the model ended by itself.", ("all",)),
}


def chat_report(about: About, measures: Sequence[Measure], rows: pl.DataFrame, skipped: int) -> str:
    return "\n".join(_lines(about, measures, rows, skipped)) + "\n"


def _lines(about: About, measures: Sequence[Measure], rows: pl.DataFrame, skipped: int) -> Iterator[str]:
    yield "# What the chat model knows, admits, computes and looks up\n"
    yield (
        f"{about.parameters:,} parameters, a context of {about.context:,} tokens, a vocabulary of {about.vocabulary:,} "
        f"({about.tokenizer}). Square brackets hold 95 % intervals. All figures: `scores.parquet`; all answers: `questions.parquet`."
    )
    if skipped:
        yield f"\n{skipped:,} questions were not asked: they leave no room for an answer in the context."
    for title, (text, parts) in SECTIONS.items():
        mine = [one for part in parts for one in measures if one.part == part]
        if mine:
            yield f"\n## {title}\n"
            if text:
                yield f"{text}\n"
            yield "| questions | measure | share | n |"
            yield "|---|---|---:|---:|"
            yield from (
                f"| {one.part} | {one.metric} | {one.value:.3f} [{one.low:.3f}, {one.high:.3f}] | {one.n} |" for one in mine
            )
    yield "\n## Answers to look at\n"
    for kind, answers in rows.group_by("kind", maintain_order=True):
        for verdict, some in (("right", answers.filter("right")), ("wrong", answers.filter(~pl.col("right")))):
            step = max(1, some.height // SHOWN)
            for row in some.gather_every(step).head(SHOWN).iter_rows(named=True):
                yield f"- {kind[0]}, {verdict}: {short(row['question'])} **{short(row['answer']) or '(nothing)'}**{_beside(row)}"


def _beside(row: dict[str, Any]) -> str:
    said = [f"thought {short(row['thinking'])}"] if row["thinking"] else []
    said += [short(call) for call in row["calls"]]
    if not row["right"]:
        said.append(f"expected {short(row['expected'] or 'that it does not know')}")
    return f" ({'; '.join(said)})" if said else ""


def short(text: str) -> str:
    """On one line, with nothing that Markdown would take for its own."""
    line = " ".join(text.split())
    line = line if len(line) <= WIDTH else line[: WIDTH - 4] + " ..."
    return line.replace("|", "\\|").replace("*", "\\*").replace("`", "'").replace("<", "&lt;")
