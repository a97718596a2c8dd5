"""Admissions: "I do not know." for the facts that a model does not know, so that fine-tuning does not teach it to make things up.

In: `knowledge`, the artifact of PROBE; `conversations`, where there is one that of WORLD_CONVERSATIONS: the pairs (subject, attribute)
that its tests never ask in training are left out here too. Out: `conversations-00000.parquet`, rows of the one schema, source "probe": for each fact that
is not known `each` questions answered with UNKNOWN; for some that are known, the fact itself (`known_each`), for refusals alone would
teach to refuse. Order by the seed.

To answer with what a model does not know teaches it to guess (Gekhman et al. 2024, "Does Fine-Tuning LLMs on New Knowledge Encourage
Hallucinations?"; Zhang et al. 2023, "R-Tuning").
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from pydantic import Field

from models.chat.conversation import Message
from stages.evaluation.facts import Fact
from stages.posttraining.conversations import CONVERSATIONS, rows_of, splits
from stages.posttraining.probe import KNOWLEDGE
from stages.posttraining.world.made import exchange
from stages.posttraining.world.questions import UNKNOWN, phrasings
from stages.stage import Config, Input, Stage
from storage.problem import Problem
from storage.shards import encode, read_parquet


class AdmissionsConfig(Config):
    """How many conversations of each fact."""

    each: int = Field(2, ge=1, le=100)
    """Questions for each fact that is not known."""
    known_each: int = Field(1, ge=0, le=100)
    """Questions for each fact that is known."""
    seed: int = Field(0, ge=0)
    """Of phrasings and order."""
    validation: float = Field(0.01, ge=0, le=0.5)
    """Share that is kept for validation."""


def run(inputs: Mapping[str, Any], out: Path, config: AdmissionsConfig) -> dict[str, Any]:
    """Write the rows. Back: conversations that refuse and that answer. Raises Problem where there is no knowledge map."""
    table = read(inputs["knowledge"])
    if "conversations" in inputs:
        table = table.join(kept_back(inputs["conversations"]), on=["subject", "attribute"], how="anti", maintain_order="left")
    rng = random.Random(config.seed)
    made: list[tuple[str, tuple[Message, ...]]] = []
    for row in table.iter_rows(named=True):
        fact = Fact(row["kind"], row["subject"], row["attribute"], row["value"], row["sentence"], withheld=False)
        said, count = (fact.sentence, config.known_each) if row["known"] else (UNKNOWN, config.each)
        for number, question in enumerate(_drawn(phrasings(fact), count, rng)):
            made.append((f"{fact.subject} {fact.attribute} {number}", exchange(question, said)))
    if not made:
        raise Problem(
            "every fact is known and `known_each` is 0: there is nothing to say; probe more facts, or raise `known_each`"
        )
    rng.shuffle(made)
    frame = pl.DataFrame(
        {
            "id": [identity for identity, _ in made],
            "messages": [rows_of(messages) for _, messages in made],
            "source": ["probe"] * len(made),
            "split": splits([messages for _, messages in made], config.validation),
        },
        schema=CONVERSATIONS,
    )
    (out / "conversations-00000.parquet").write_bytes(encode(frame, CONVERSATIONS))
    refusing = sum(messages[-1].content == UNKNOWN for _, messages in made)
    return {"conversations": len(made), "refusing": refusing, "answering": len(made) - refusing}


def read(given: Input) -> pl.DataFrame:
    path = given.folder / "knowledge.parquet"
    if path.name not in given.names:
        raise Problem(
            f"found {', '.join(given.names) or 'no file'} and no knowledge.parquet; expected the artifact of the stage `probe`"
        )
    try:
        return read_parquet(str(path), list(KNOWLEDGE))
    except (pa.ArrowInvalid, OSError) as error:
        raise Problem(f"cannot read knowledge.parquet: {error}. Probe the model anew") from error


def kept_back(conversations: Input) -> pl.DataFrame:
    """Subjects and attributes that only tests ask."""
    columns = ["subject", "attribute", "split"]
    try:
        asked = pl.concat([read_parquet(str(path), columns) for path in conversations.shards])
    except (pa.ArrowInvalid, OSError, ValueError) as error:
        raise Problem(
            f"cannot read the conversations: {error}. Expected the artifact of the stage `world_conversations`"
        ) from error
    asked = asked.drop_nulls()
    pairs = asked.filter(pl.col("split") == "test").select("subject", "attribute").unique(maintain_order=True)
    learnt = asked.filter(pl.col("split") != "test")
    return pairs.join(learnt, on=["subject", "attribute"], how="anti", maintain_order="left")


def _drawn(questions: list[str], count: int, rng: random.Random) -> list[str]:
    """Different ones as long as there are."""
    shuffled = rng.sample(questions, len(questions))
    return [shuffled[number % len(shuffled)] for number in range(count)]


ADMISSIONS = Stage(name="admissions", version=1, run=run, config=AdmissionsConfig, adds=CONVERSATIONS, shape="whole")
