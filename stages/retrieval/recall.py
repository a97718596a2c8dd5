"""How often a search finds what answers a question: over the facts of the simulated world, whose answers are known.

In: `index` (an artifact of INDEX over a corpus of that world), `crawl` (the artifact of `simulate`: facts.parquet); `embedder` where the
index was made with one. A question is answered by a chunk whose title or text has the subject's name (of a road both ends) and the
value, as words: a necessary condition, not a proof. Out: `recall.parquet`, the measures (stages/evaluation/measures.py), task `recall`:

| part | metric | share of questions |
|---|---|---|
| a method, or a method and an attribute | recall@k | that one of the best k chunks answers; chance: of k chunks at random |
| the same | result | that the tool `search` answers with the best `shown` chunks in `characters` characters |
| any chunk | answerable | that any chunk answers: no search gets above it |

`questions.parquet`, a row per question and method:

| column | type | meaning |
|---|---|---|
| kind, subject, attribute, value | string | the fact |
| question | string | one of several phrasings |
| method | string | keyword, vector, hybrid |
| rank | i64 | of the first chunk that answers; null: not among the best max(k) |
| answering | i64 | chunks in the index that would answer |
| first | string | the chunk that came first |
| result | string | what the tool gives the model |
| result_answers | bool | whether names and value stand in it |
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import regex
from pydantic import Field

from stages.evaluation import facts
from stages.evaluation.facts import Fact
from stages.evaluation.measures import SCORES, Measure, frame, share
from stages.retrieval.index import searchable
from stages.retrieval.search import METHODS, Index, open_index, search
from stages.retrieval.tool import result
from stages.simulation.phrases import QUESTIONS
from stages.stage import Config, Stage
from storage.shards import encode

ASKED: dict[str, pl.DataType] = {
    "kind": pl.String(),
    "subject": pl.String(),
    "attribute": pl.String(),
    "value": pl.String(),
    "question": pl.String(),
    "method": pl.String(),
    "rank": pl.Int64(),
    "answering": pl.Int64(),
    "first": pl.String(),
    "result": pl.String(),
    "result_answers": pl.Boolean(),
}
Mask = npt.NDArray[np.bool_]


class RecallConfig(Config):
    """How a search is measured, and what the tool shows of it."""

    k: tuple[int, ...] = Field(default=(1, 5, 10), min_length=1)
    """How many chunks are looked at."""
    shown: int = Field(default=3, ge=1, le=100)
    """Chunks in a result of the tool."""
    characters: int = Field(default=600, ge=50, le=10_000)
    """Length of a result of the tool."""
    questions: int = Field(default=0, ge=0)
    """How many facts are asked for; 0 = all."""
    seed: int = Field(default=1, ge=0)
    """Of the choice of facts and of phrasings."""


def run(inputs: Mapping[str, Any], out: Path, config: RecallConfig) -> dict[str, float]:
    """Write both files to `out`. Back: the number of questions, and of each method its measures."""
    index = open_index(inputs["index"].folder, inputs.get("embedder"))
    asked = ask(index, facts.sample(facts.read(inputs["crawl"]), config.questions, config.seed), config)
    measures = measure(asked, index.chunks.height, config.k)
    (out / "questions.parquet").write_bytes(encode(asked, ASKED))
    (out / "recall.parquet").write_bytes(encode(frame(measures), SCORES))
    whole = {f"{one.part} {one.metric}": one.value for one in measures if one.part in METHODS}
    return {"questions": asked.height // len(METHODS), **whole}


def ask(index: Index, known: Sequence[Fact], config: RecallConfig) -> pl.DataFrame:
    """The columns ASKED."""
    rng = random.Random(config.seed)
    mentions = Mentions(index)
    rows = []
    for fact in known:
        phrasings = QUESTIONS.get(fact.attribute)
        question = rng.choice(phrasings).replace("{n}", fact.subject) if phrasings else fact.question
        wanted = (*fact.names, fact.value)
        answers = np.logical_and.reduce([mentions.of(word) for word in wanted])
        for method in METHODS:
            hits = search(index, question, max(*config.k, config.shown), method)
            rank = next((place for place, hit in enumerate(hits, 1) if answers[hit.row]), None)
            told = result(index, question, hits[: config.shown], config.characters)
            answered = all(regex.search(pattern(word), told) for word in wanted)
            about = (fact.kind, fact.subject, fact.attribute, fact.value, question, method)
            rows.append((*about, rank, int(answers.sum()), hits[0].chunk if hits else None, told, answered))
    return pl.DataFrame(rows, schema=ASKED, orient="row")


class Mentions:
    """Which chunks have a word, whatever its case, also in the plural."""

    def __init__(self, index: Index) -> None:
        self.texts = pl.Series(list(searchable(index.chunks)))
        self.found: dict[str, Mask] = {}

    def of(self, word: str) -> Mask:
        if word not in self.found:
            self.found[word] = self.texts.str.contains(pattern(word)).to_numpy()
        return self.found[word]


def pattern(word: str) -> str:
    return rf"(?i)\b{regex.escape(word)}s?\b"


def measure(asked: pl.DataFrame, chunks: int, ks: Sequence[int]) -> list[Measure]:
    found = []
    for method in METHODS:
        mine = asked.filter(pl.col("method") == method)
        parts: list[tuple[str, pl.DataFrame]] = [(method, mine)]
        parts += [
            (f"{method}, {name}", mine.filter(pl.col("attribute") == name))
            for name in mine["attribute"].unique(maintain_order=True)
        ]
        for part, rows in parts:
            for k in ks:
                random_chunks = float((1 - (1 - rows["answering"] / chunks) ** k).mean())  # type: ignore[arg-type]
                right = (rows["rank"] <= k).fill_null(False).to_list()
                found.append(share("recall", f"recall@{k}", right, part, random_chunks))
            found.append(share("recall", "result", rows["result_answers"].to_list(), part))
    answerable = (asked.filter(pl.col("method") == METHODS[0])["answering"] > 0).to_list()
    return [*found, share("recall", "answerable", answerable, "any chunk")]


RECALL = Stage(name="recall", version=2, run=run, config=RecallConfig, shape="whole")
