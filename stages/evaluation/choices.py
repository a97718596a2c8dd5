"""Multiple choice by likelihood, in the manner of lm-evaluation-harness (Gao et al. 2021): which continuation does the model expect?

In: `tasks`, a .jsonl file or a folder of them; the name of a file is the name of its task. One question a line:

    {"query": "Question: Which town lies on the river Thamewa?\\nAnswer:", "choices": ["Menport", "Zusford"], "gold": 0}

`query` is the prompt as the model reads it, examples included; `gold` is the place of the right choice, from 0. A choice follows the
query behind one space, as the harness's default `target_delimiter` has it. Out: `choices.parquet`, a row per question:

| column | type | meaning |
|---|---|---|
| task | string | name of the file |
| prompt | string | the query |
| answer, answer_norm | string | the choice of the highest log-probability, and of the highest per byte |
| expected | string | the gold choice |
| right, right_norm | bool | |
| logprob, expected_logprob | f64 | nats, of `answer` and `expected` |
| choices | i64 | |
| cut | i64 | tokens of the query that did not fit into the model's context, dropped on the left |

`acc` is the share of right sums of log-probabilities, `acc_norm` of sums over UTF-8 bytes of the choice (the harness divides by
characters: the same for ASCII). The document's first token is given before the query, which the harness adds only for models whose
tokenizer does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from models.tokenizer.tokenizer import Tokenizer
from models.transformer.transformer import Transformer
from stages.evaluation.likelihood import best, pair, scored
from stages.evaluation.measures import Measure, Result, share
from stages.stage import Input
from storage.problem import Problem

ROWS: dict[str, pl.DataType] = {
    "task": pl.String(),
    "prompt": pl.String(),
    "answer": pl.String(),
    "answer_norm": pl.String(),
    "expected": pl.String(),
    "right": pl.Boolean(),
    "right_norm": pl.Boolean(),
    "logprob": pl.Float64(),
    "expected_logprob": pl.Float64(),
    "choices": pl.Int64(),
    "cut": pl.Int64(),
}


@dataclass(frozen=True)
class Question:
    task: str
    query: str
    choices: tuple[str, ...]
    gold: int


def read(given: Path | Input) -> list[Question]:
    """The questions of all files. Raises Problem with file and line for what is no question."""
    if isinstance(given, Input):
        paths = [given.folder / name for name in given.names if name.endswith(".jsonl")]
    else:
        paths = sorted(given.glob("*.jsonl")) if given.is_dir() else [given]
    questions = [question for path in paths for question in _questions(path)]
    if not questions:
        raise Problem(
            'found no question in `tasks`; expected .jsonl files with lines like {"query": "...", "choices": ["...", "..."], "gold": 0}'
        )
    return questions


def _questions(path: Path) -> Iterator[Question]:
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"cannot read {path}: {error}. Expected a .jsonl file in UTF-8") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _question(path, number, line)


def _question(path: Path, number: int, line: str) -> Question:
    problem = Problem(
        f'line {number} of {path.name} is {line:.120}; expected {{"query": text, "choices": two or more texts, "gold": place of the '
        "right one, from 0}"
    )
    try:
        found = json.loads(line)
    except json.JSONDecodeError:
        raise problem from None
    match found:
        case {"query": str(query), "choices": [_, _, *_] as texts, "gold": int(gold)} if (
            _usable([query, *texts]) and all(texts) and 0 <= gold < len(texts)
        ):
            return Question(path.name.removesuffix(".jsonl"), query, tuple(texts), gold)
    raise problem


def _usable(texts: Sequence[object]) -> bool:
    """Texts, and such that have a UTF-8: JSON may hold half a character."""
    return all(isinstance(text, str) and not any("\ud800" <= character <= "\udfff" for character in text) for text in texts)


def choices(model: Transformer, tokenizer: Tokenizer, questions: Sequence[Question]) -> Result:
    sets = [[pair(tokenizer, asked.query, f" {choice}") for choice in asked.choices] for asked in questions]
    rows = []
    for asked, scores in zip(questions, scored(model, sets), strict=True):
        totals = [total for total, _ in scores]
        choice, norm = best(totals), best(totals, [len(one.encode()) for one in asked.choices])
        rows.append(
            (
                *(asked.task, asked.query, asked.choices[choice], asked.choices[norm], asked.choices[asked.gold]),
                *(choice == asked.gold, norm == asked.gold, totals[choice], totals[asked.gold]),
                *(len(asked.choices), max(cut for _, cut in scores)),
            )
        )
    table = pl.DataFrame(rows, schema=ROWS, orient="row")
    measures = [measure for name in table["task"].unique(maintain_order=True) for measure in _measures(table, name)]
    return Result(measures, {"choices": table})


def _measures(table: pl.DataFrame, name: str) -> Iterator[Measure]:
    mine = table.filter(pl.col("task") == name)
    chance = float((1 / mine["choices"]).to_numpy().mean())
    cut = int((mine["cut"] > 0).sum())
    note = f"{cut} prompts longer than the context lost their beginning" if cut else None
    for metric, column in (("acc", "right"), ("acc_norm", "right_norm")):
        yield share("choices", metric, mine[column].to_list(), name, chance, note)
