"""The evaluation of a base model as a page for people: what was measured, what it means, and cases to look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from stages.evaluation import in_context
from stages.evaluation.measures import Measure, Result

SHOWN = 3
"""Right answers shown of each kind, and as many wrong ones."""
TEXT = ("bits_per_byte", "loss", "perplexity", "bytes_per_token")
DIGITS = {"perplexity": 2, "longest_run": 1, "expected_logprob": 2}
WIDTH = 160
"""Characters of a text that are shown."""


@dataclass(frozen=True)
class About:
    """The model in numbers."""

    parameters: int
    context: int
    vocabulary: int
    tokenizer: str


def report(about: About, results: Mapping[str, Result], missing: Mapping[str, str]) -> str:
    """`results` by task; `missing`: task -> why it was not measured."""
    return "\n".join(_lines(about, results, missing)) + "\n"


def _lines(about: About, results: Mapping[str, Result], missing: Mapping[str, str]) -> Iterator[str]:
    yield "# What the base model knows and can do\n"
    yield (
        f"{about.parameters:,} parameters, a context of {about.context:,} tokens, a vocabulary of {about.vocabulary:,} "
        f"({about.tokenizer}). Square brackets hold 95 % intervals. All figures: `scores.parquet`."
    )
    sections = {
        "bits_per_byte": _text,
        "cloze": _cloze,
        "in_context": _in_context,
        "prompted": _prompted,
        "memorisation": _memorisation,
        "choices": _choices,
    }
    for name, section in sections.items():
        if name in results:
            yield from section(results[name])
    if missing:
        yield "\n## Not measured\n"
        for name, why in missing.items():
            yield f"- {name}: {why}"


def _text(result: Result) -> Iterator[str]:
    yield "\n## How well it predicts text\n"
    yield "Bits that it needs for a byte of text, which is stored in 8: the fewer, the better it knows what comes next.\n"
    yield from _table(
        ["text", "bits per byte", "loss", "perplexity", "bytes per token", "documents"],
        [
            [part.replace("held_out", "held out"), *(_of(mine, name) for name in TEXT), f"{mine[0].n}"]
            for part, mine in _parts(result.measures)
        ],
    )  # fmt: skip
    positions = result.tables["loss_by_position"]
    yield (
        f"\n{result.measures[0].note}. Loss and perplexity are per token. The same by the token's place in its document: what falls is "
        "what the text before is worth.\n"
    )
    yield from _table(
        ["token", "loss", "tokens"],
        [[f"{a}" if a == b else f"{a} - {b}", f"{loss:.3f}", f"{n:,}"] for a, b, n, loss in positions.iter_rows()],
    )


def _cloze(result: Result) -> Iterator[str]:
    yield "\n## What it knows of its world\n"
    yield (
        "Every fact's plain sentence, completed by the likeliest of all values. No page has a *withheld* sentence: who completes it has "
        "learnt the fact from other words. *Seen*: the other facts of the same attributes. *Others*: attributes without withheld sentences.\n"
    )
    yield from _table(
        ["sentences", "right", "chance", "always the commonest", "facts"],
        [
            [one.part or "", _value(one), f"{one.chance:.3f}", (one.note or "").rpartition(" ")[2], f"{one.n}"]
            for one in result.measures
        ],
    )
    table = result.tables["cloze"]
    yield ""
    for title, rows in (("right", table.filter("right")), ("wrong", table.filter(~pl.col("right")))):
        for row in _some(rows):
            wrong = "" if row["right"] else f"; true is **{row['expected']}**, at place {row['rank']} of {row['candidates']}"
            begun = row["prompt"].rpartition(". ")[2]
            yield f"- {title}: {_short(begun)} ... **{_short(row['answer'])}**{wrong}"


def _in_context(result: Result) -> Iterator[str]:
    yield "\n## What it learns from examples in the prompt\n"
    yield (
        "The likeliest of all values behind a question, after so many solved examples: as *question* "
        "(`Question: Where does Zolek live? Answer:`) and as *pair* (`Zolek:`), where the examples alone show what is asked. *True value*: "
        "mean log-probability, in nats.\n"
    )
    table = result.tables["in_context"]
    forms, counts = table["form"].unique(maintain_order=True).to_list(), table["examples"].unique(maintain_order=True).to_list()
    found = {(one.part, one.metric): one for one in result.measures}
    rows = []
    for count in counts:
        mine = [found[in_context.part(form, count), metric] for form in forms for metric in ("accuracy", "expected_logprob")]
        rows.append([f"{count}", *map(_value, mine), f"{mine[0].chance:.3f}"])
    yield from _table(["examples", *(f"{form}{what}" for form in forms for what in ("", ": true value")), "chance"], rows)
    for one in result.measures:
        if one.metric == "gain" and one.low is not None and one.high is not None:
            verdict = (
                "more than chance explains"
                if one.low > 0
                else "it loses by them"
                if one.high < 0
                else "no gain that these questions could show"
            )
            yield f"\n{one.part}: {_value(one)}, {verdict}."


def _prompted(result: Result) -> Iterator[str]:
    yield "\n## An assistant by prompt alone\n"
    yield (
        "A few solved questions, one open one, and the model goes on. *Right*: the first value that it names is the true one, about the one who "
        "was asked about. *As shown*: in the very words of the examples.\n"
    )
    yield from _table(
        ["questions", "right", "as shown", "chance", "n"],
        [[part, _of(mine, "exact_match"), _of(mine, "as_shown"), f"{mine[0].chance:.3f}", f"{mine[0].n}"] for part, mine in _parts(result.measures)],
    )  # fmt: skip
    table = result.tables["prompted"]
    yield f"\nOne whole transcript:\n\n```\n{table['prompt'][0]} {table['answer'][0]}\n```\n"
    for row in [*_some(table.filter("right")), *_some(table.filter(~pl.col("right")))]:
        question = row["prompt"].rpartition("Question: ")[2].removesuffix(" Answer:")
        verdict = "right" if row["right"] else f"true is {row['expected']}"
        yield f"- {question} **{_short(row['answer'])}** ({verdict})"


def _memorisation(result: Result) -> Iterator[str]:
    table = result.tables["memorisation"]
    yield "\n## What it has by heart\n"
    yield (
        "Tokens of a page are given, the next are written greedily. *Extractable*: all are the page's own; *verbatim*: share of tokens that "
        "are; *longest run*: of the page's words, in tokens. What training pages have more than unseen ones is memory.\n"
    )
    yield from _table(
        ["pages", "extractable", "verbatim", "longest run", "n"],
        [[part, *(_of(mine, name) for name in ("extractable", "verbatim", "longest_run")), f"{mine[0].n}"] for part, mine in _parts(result.measures)],
    )  # fmt: skip
    longest = (
        table.filter(pl.col("set") == "training").sort("longest_run", descending=True, maintain_order=True).row(0, named=True)
    )
    yield f"\nThe longest run, {longest['longest_run']} tokens, of the training page `{longest['id']}`:\n"
    for title, column in (("given", "prompt"), ("written", "answer"), ("the page", "expected")):
        yield f"- {title}: {_short(longest[column], 2 * WIDTH)}"


def _choices(result: Result) -> Iterator[str]:
    yield "\n## Multiple choice\n"
    yield "*acc*: the choice of the highest log-probability is right; *acc_norm*: of the highest per byte.\n"
    yield from _table(
        ["task", "acc", "acc_norm", "chance", "questions"],
        [[part, _of(mine, "acc"), _of(mine, "acc_norm"), f"{mine[0].chance:.3f}", f"{mine[0].n}"] for part, mine in _parts(result.measures)],
    )  # fmt: skip


def _parts(measures: Sequence[Measure]) -> list[tuple[str, list[Measure]]]:
    names = dict.fromkeys(one.part or "all" for one in measures)
    return [(name, [one for one in measures if (one.part or "all") == name]) for name in names]


def _of(measures: Sequence[Measure], metric: str) -> str:
    return next((_value(one) for one in measures if one.metric == metric), "")


def _value(one: Measure) -> str:
    digits = DIGITS.get(one.metric, 3)
    interval = "" if one.low is None or one.high is None else f" [{one.low:.{digits}f}, {one.high:.{digits}f}]"
    return f"{one.value:.{digits}f}{interval}"


def _some(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """A few, from all over the table."""
    step = max(1, rows.height // SHOWN)
    return rows.gather_every(step).head(SHOWN).to_dicts()


def _short(text: object, width: int = WIDTH) -> str:
    """On one line, with nothing that Markdown would take for its own."""
    line = " ".join(str(text).split())
    line = line if len(line) <= width else line[: width - 4] + " ..."
    return line.replace("|", "\\|").replace("*", "\\*").replace("`", "'").replace("<", "&lt;")


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(columns) + " |"
    yield "|---|" + "---:|" * (len(columns) - 1)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
