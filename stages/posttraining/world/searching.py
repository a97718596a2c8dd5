"""Conversations in which the assistant searches: a question about a fact, the tool's own result over the world's pages, a cited answer.

    Where does Tara live?   <|search|>Where does Tara live?<|search_end|><|result|>[1] Tara came to ...<|result_end|>Tara lives in Holmford. [1]

Part `found`: subject and value stand in one passage of the result, and the answer cites it. Part `not_found`: the result does not hold
both, as with everybody unknown, and the answer is that it is not known: what was not found is not made up.

In training, most conversations with an answer are about somebody made up: name and value are exchanged for others, in question, result and
answer alike, so that memory is of no use and the model has to read what was found (Longpre et al. 2021, "Entity-Based Knowledge Conflicts
in Question Answering"). Tests are about the world as it is.
"""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from models.chat.conversation import ASSISTANT, Message
from models.chat.tools.tool import Tool
from stages.evaluation.facts import Fact
from stages.posttraining.world.known import refusals, rounds
from stages.posttraining.world.made import Made
from stages.posttraining.world.questions import UNKNOWN, phrasings
from stages.retrieval.index import INDEX, IndexConfig
from stages.retrieval.recall import pattern
from stages.retrieval.search import open_index
from stages.retrieval.tool import looked_up, search_tool
from stages.stage import Input
from storage.problem import Problem
from storage.shards import read_parquet

MADE_UP = 0.75
"""Share of the answered conversations for training whose name and value are exchanged."""
UNANSWERED = 0.25
"""Share of the conversations in which the result does not answer."""
WORDS = IndexConfig(words=40, overlap=8, dimensions=64)


@dataclass(frozen=True)
class Searching:
    """How results look that fit a small context."""

    hits: int
    characters: int


def world_index(crawl: Input, folder: Path) -> Path:
    """An index over the pages that the crawl's truth keeps, made in `folder`."""
    if "truth.parquet" not in crawl.names:
        raise Problem(
            "found no truth.parquet in the crawl; expected the artifact of the stage `simulate`: simulate the crawl anew"
        )
    pages = read_parquet(str(crawl.folder / "truth.parquet"), ["id", "url", "text", "drop"])
    kept = pages.filter(pl.col("drop").is_null() & pl.col("text").is_not_null()).select("id", "url", "text")
    shutil.rmtree(folder, ignore_errors=True)  # what an attempt that was killed left of one
    docs, made = folder / "docs", folder / "index"
    for one in (docs, made):
        one.mkdir(parents=True)
    kept.write_parquet(docs / "pages.parquet")
    INDEX.run({"docs": Input(docs, ("pages.parquet",))}, made, WORDS)
    return made


def world_tool(folder: Path, how: Searching) -> Tool:
    return search_tool(open_index(folder), how.hits, "hybrid", how.characters)


def searching(
    facts: Sequence[Fact],
    names: Mapping[str, Sequence[str]],
    tool: Tool,
    systems: Sequence[str],
    rng: random.Random,
    count: int,
    fits: Any,
    made_up: bool = False,
) -> list[Made]:
    """`count` conversations, fewer where too few results answer; `fits` tells of messages whether they find room in the context;
    `made_up`: whether names and values may be exchanged."""
    made: list[Made] = []
    unanswered = round(count * UNANSWERED)
    for missing in refusals(names, rng, unanswered):
        question = missing.messages[0].content
        messages = (*looked_up(question, tool.run(question), rng.choice(systems)), Message(ASSISTANT, UNKNOWN))
        if fits(messages):
            made.append(Made(messages, "search", "not_found", None, missing.subject, missing.attribute))
    results: dict[str, str] = {}
    every = [(fact, question) for fact in facts for question in phrasings(fact)]
    values = {fact.attribute: sorted({one.value for one in facts if one.attribute == fact.attribute}) for fact in facts}
    for fact, question in rounds(every, rng, 4 * count):
        if len(made) >= count:
            break
        if question not in results:
            results[question] = tool.run(question)
        found = results[question]
        number = citing(found, fact)
        if number is None:
            continue
        said, about = (question, found, f"{fact.sentence} [{number}]"), fact
        if made_up and names.get(fact.kind) and rng.random() < MADE_UP:
            said, about = exchanged(said, fact, rng.choice(names[fact.kind]), rng.choice(values[fact.attribute]))
        messages = (*looked_up(said[0], said[1], rng.choice(systems)), Message(ASSISTANT, said[2]))
        if fits(messages):
            made.append(Made(messages, "search", "found", about.value, about.subject, about.attribute))
    return made


Texts = tuple[str, str, str]
"""Question, result, answer."""


def exchanged(texts: Texts, fact: Fact, name: str, value: str) -> tuple[Texts, Fact]:
    """The texts with another name and another value, wherever they stand as words, and the fact that they now tell; as they were where
    the result would not say so, or the article would not fit."""
    if (value[0] in "aeiou") != (fact.value[0] in "aeiou"):
        return texts, fact
    swaps = {fact.subject: name, fact.value: value}
    words = re.compile("|".join(rf"\b{re.escape(word)}(?=s?\b)" for word in swaps))
    question, found, answer = (words.sub(lambda match: swaps[match.group()], text) for text in texts)
    other = replace(fact, subject=name, value=value)
    return ((question, found, answer), other) if citing(found, other) == citing(texts[1], fact) else (texts, fact)


def citing(result: str, fact: Fact) -> int | None:
    """The number of the first passage that names both the subject and the value."""
    passages = re.split(r"(?m)^\[(\d+)\] ", result)
    for number, passage in zip(passages[1::2], passages[2::2], strict=True):
        if all(re.search(pattern(word), passage) for word in (*fact.names, fact.value)):
            return int(number)
    return None
