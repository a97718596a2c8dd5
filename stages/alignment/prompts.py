"""Prompts: what a policy is asked, from rows of conversations as far as the user's last turn, with the columns that judge its answers.

In: an artifact of conversations, such as `problems` or `world_conversations`: columns id and messages; the others are null where they are
missing. Out: `Prompt`s in the order of the rows, those that leave no room for an answer left out. What follows the user's last turn in
a conversation is never shown to the policy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pydantic import Field

from models.chat.conversation import USER, Message
from models.chat.renderer import prompt
from models.tokenizer.tokenizer import Tokenizer
from stages.alignment.numbers import final_number
from stages.posttraining.conversations import messages_of
from stages.posttraining.world.made import BESIDE
from stages.stage import Config
from storage.problem import Problem
from storage.shards import read_parquet


@dataclass(frozen=True)
class Prompt:
    id: str
    messages: tuple[Message, ...]
    tokens: list[int]
    columns: Mapping[str, str | None]
    """Those of BESIDE: kind, part, subject, attribute, expected."""

    @property
    def text(self) -> str:
        """What the user said last."""
        return self.messages[-1].content


class Selection(Config):
    """Which rows are asked."""

    split: str = ""
    """train, validation or test; empty: all."""
    kinds: tuple[str, ...] = ()
    """Only of these kinds; empty: of all."""
    parts: tuple[str, ...] = ()
    """Only of these parts, such as "5 steps"; empty: of all."""
    count: int = Field(0, ge=0)
    """Most prompts, the first ones; 0: all."""


def prompts(paths: Sequence[Path], selection: Selection, tokenizer: Tokenizer, longest: int) -> list[Prompt]:
    """`longest`: most tokens of a prompt. Raises Problem where none is left."""
    found: list[Prompt] = []
    left_out = 0
    for path in paths:
        for row in selected(path, selection).iter_rows(named=True):
            messages = messages_of(row["messages"], row["id"])
            asked = messages[: 1 + max((at for at, one in enumerate(messages) if one.role == USER), default=-1)]
            tokens = prompt(asked, tokenizer) if asked else []
            if not tokens or len(tokens) > longest:
                left_out += 1
            elif not selection.count or len(found) < selection.count:
                found.append(Prompt(row["id"], asked, tokens, {name: row[name] for name in BESIDE}))
    if not found:
        raise Problem(
            f"none of the rows in {', '.join(path.name for path in paths) or 'no file'} can be asked ({left_out} of those selected ask nothing or "
            f"have more than {longest} tokens); expected conversations with the split {selection.split or 'train, validation or test'}, kinds "
            f"{', '.join(selection.kinds) or 'any'} and parts {', '.join(selection.parts) or 'any'}"
        )
    return found


def checkable(asked: Sequence[Prompt]) -> None:
    """Raises Problem where an answer could not be checked by the number that is expected."""
    for one in asked:
        expected = one.columns["expected"]
        if expected is None or final_number(expected) != expected:
            raise Problem(
                f"the prompt {one.id} expects {expected!r}, which is no number that an answer could be checked by; select others (select.kinds), or "
                "leave the reward `answer` out"
            )


def selected(path: Path, selection: Selection) -> pl.DataFrame:
    rows = read_parquet(str(path))
    if not {"id", "messages"} <= set(rows.columns):
        raise Problem(
            f"{path.name} has the columns {', '.join(rows.columns)}; expected id and messages, such as the stage `problems` writes"
        )
    missing = [name for name in (*BESIDE, "split", "reason") if name not in rows.columns]
    rows = rows.with_columns(pl.lit(None, pl.String()).alias(name) for name in missing).filter(pl.col("reason").is_null())
    for name, wanted in (("kind", selection.kinds), ("part", selection.parts), ("split", (selection.split,))):
        if any(wanted):
            rows = rows.filter(pl.col(name).is_in(wanted))
    return rows
