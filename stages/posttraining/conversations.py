"""Conversations as rows: the one schema of every dataset of chats.

| column | type | meaning |
|---|---|---|
| id | string | of the conversation, unique in its dataset |
| messages | list(struct) | its messages: role, content, reasoning_content, tool_calls, as models/chat/fields.py has them |
| source | string | where it comes from: a file, a generator |
| split | string | train or validation |

Such rows are what Hugging Face's `apply_chat_template` takes, and what the viewer shows as chats.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from models.chat.conversation import USER, Message, fault
from models.chat.fields import fields, message
from models.unusable import Unusable
from stages.tokens.folded import fold
from stages.tokens.split import split

MESSAGES = pl.List(
    pl.Struct(
        {
            "role": pl.String(),
            "content": pl.String(),
            "reasoning_content": pl.String(),
            "tool_calls": pl.List(
                pl.Struct({"type": pl.String(), "function": pl.Struct({"name": pl.String(), "arguments": pl.String()})})
            ),
        }
    )
)
CONVERSATIONS: dict[str, pl.DataType] = {
    "id": pl.String(),
    "messages": MESSAGES,
    "source": pl.String(),
    "split": pl.String(),
}


def rows_of(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """A value of the column `messages`."""
    return [fields(one) for one in messages]


def messages_of(rows: Iterable[Mapping[str, Any]], identity: str) -> tuple[Message, ...]:
    """The messages of a row. Raises Unusable, naming the conversation `identity`, where they are not sound."""
    try:
        messages = tuple(message(row) for row in rows)
    except Unusable as error:
        raise Unusable(f"conversation {identity}: {error}") from None
    if found := fault(messages):
        raise Unusable(f"conversation {identity}: {found.detail}")
    return messages


def splits(conversations: Iterable[Sequence[Message]], validation: float) -> pl.Series:
    """train or validation for each: those in which users say the same, but for case and punctuation, lie on one side."""
    asked = ["\n".join(one.content for one in messages if one.role == USER) for messages in conversations]
    return split(fold(pl.Series(asked, dtype=pl.String)).texts, None, validation)
