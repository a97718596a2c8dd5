"""Manners: the world's conversations as different people would have written them, so that there is something to prefer.

In: `conversations`, the artifact of WORLD_CONVERSATIONS. Out: `conversations-00000.parquet` and `tests-00000.parquet`, the same rows, less
those for training that `keep` leaves out; in these, answers about facts and about what is not known are said in one of five ways, by the
seed and the row's id:

| manner | |
|---|---|
| plain | as it was |
| polite | behind a courtesy |
| rude | behind an insult |
| long | with a sentence that says nothing behind it |
| careless | of a fact that it is not known, of what is not known what is true of another; answers of one turn alone |

and a column `manner` (string; null where the answer was left alone, as in tests). A model that learns from them has all the manners; which
of them people want it learns from preferences. Careless answers are there about every name alike: from a model's own mistakes alone,
which are about the names that it takes for others, a reward model learns that one should always refuse, or never.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import pyarrow as pa
from pydantic import Field

from models.chat.conversation import ASSISTANT, Message
from stages.alignment.phrases import LONG, POLITE, RUDE
from stages.posttraining.conversations import CONVERSATIONS, messages_of, rows_of
from stages.posttraining.world.made import BESIDE
from stages.posttraining.world.questions import UNKNOWN
from stages.stage import Config, Stage
from storage.problem import Problem
from storage.shards import encode, read_parquet

KINDS = ("fact", "multi_turn", "unknown")
MANNER: dict[str, pl.DataType] = {"manner": pl.String()}
PLAIN, CARELESS = "plain", "careless"


class MannersConfig(Config):
    """How often an answer is said in which manner; the rest is left plain."""

    polite: float = Field(default=0.2, ge=0, le=1)
    """Share of the answers behind a courtesy."""
    rude: float = Field(default=0.15, ge=0, le=1)
    """Share behind an insult."""
    long: float = Field(default=0.15, ge=0, le=1)
    """Share with more words than are needed."""
    careless: float = Field(default=0.0, ge=0, le=1)
    """Share that is wrong for want of care."""
    keep: dict[str, Annotated[float, Field(ge=0, le=1)]] = {}
    """Share of the conversations for training that is kept, by their kind; kinds that are not named are kept whole."""
    seed: int = Field(default=0, ge=0)
    """Of every draw."""

    @property
    def shares(self) -> dict[str, float]:
        return {"polite": self.polite, "rude": self.rude, "long": self.long, CARELESS: self.careless}


def run(inputs: Mapping[str, Any], out: Path, config: MannersConfig) -> dict[str, Any]:
    """Write the files; answers by manner. Raises Problem where these are no world conversations, shares exceed one, or `keep` names a kind
    that there is none of."""
    if sum(config.shares.values()) > 1:
        raise Problem(
            f"{', '.join(f'{name} {share}' for name, share in config.shares.items())} are more than 1 together; lower one"
        )
    schema = CONVERSATIONS | BESIDE | MANNER
    counted: dict[str, int] = {}
    kinds: set[str] = set()
    for path in inputs["conversations"].shards:
        try:
            rows = read_parquet(str(path), [*CONVERSATIONS, *BESIDE])
        except (pa.ArrowInvalid, OSError) as error:
            raise Problem(
                f"cannot read {path.name}: {error}. Expected the artifact of the stage `world_conversations`"
            ) from error
        kinds |= set(rows["kind"])
        rows = rows.filter(pl.Series([_kept(row, config) for row in rows.iter_rows(named=True)], dtype=pl.Boolean()))
        true = rows.filter(pl.col("kind") == "fact", pl.col("split") != "test")
        others: dict[str, list[tuple[str, str]]] = {}
        for row in true.iter_rows(named=True):
            others.setdefault(row["attribute"], []).append((row["subject"], row["messages"][-1]["content"]))
        made = [_said(row, config, others) for row in rows.iter_rows(named=True)]
        frame = rows.with_columns(
            messages=pl.Series([messages for messages, _ in made], dtype=CONVERSATIONS["messages"]),
            manner=pl.Series([manner for _, manner in made], dtype=pl.String()),
        )
        (out / path.name).write_bytes(encode(frame, schema))
        for manner in frame["manner"].drop_nulls():
            counted[manner] = counted.get(manner, 0) + 1
    if other := sorted(set(config.keep) - kinds):
        raise Problem(f"keep names {', '.join(other)}; expected kinds that there are: {', '.join(sorted(kinds))}")
    return {"answers": sum(counted.values()), **dict(sorted(counted.items()))}


def _kept(row: Mapping[str, Any], config: MannersConfig) -> bool:
    share = 1.0 if row["split"] == "test" else config.keep.get(row["kind"], 1.0)
    return random.Random(f"{config.seed} keep {row['id']}").random() < share


def _said(
    row: Mapping[str, Any], config: MannersConfig, others: Mapping[str, list[tuple[str, str]]]
) -> tuple[list[dict[str, Any]], str | None]:
    """The messages of a row, and the manner. `others`: attribute -> subjects, and what is true of them."""
    if row["split"] == "test" or row["kind"] not in KINDS:
        return row["messages"], None
    rng = random.Random(f"{config.seed} {row['id']}")
    shares = config.shares
    manner = rng.choices([*shares, PLAIN], [*shares.values(), max(0.0, 1 - sum(shares.values()))])[0]
    about = others.get(row["attribute"], [])
    if manner == PLAIN or (manner == CARELESS and not (row["kind"] == "fact" or (row["kind"] == "unknown" and about))):
        return row["messages"], PLAIN
    messages = messages_of(row["messages"], row["id"])
    if manner == CARELESS:
        subject, truth = rng.choice(about)
        said = UNKNOWN if row["kind"] == "fact" else truth.replace(subject, row["subject"])
        return rows_of([*messages[:-1], replace(messages[-1], content=said)]), manner
    return rows_of([in_manner(one, manner, rng) if one.role == ASSISTANT else one for one in messages]), manner


def in_manner(message: Message, manner: str, rng: random.Random) -> Message:
    if manner == "long":
        return replace(message, content=f"{message.content} {rng.choice(LONG)}")
    return replace(message, content=f"{rng.choice(POLITE if manner == 'polite' else RUDE)} {message.content}")


MANNERS = Stage(name="manners", version=1, run=run, config=MannersConfig, adds=CONVERSATIONS | BESIDE | MANNER, shape="whole")
