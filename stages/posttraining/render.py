"""Render: conversations as tokens, and which of them are learnt.

In: rows of `conversations.py`; side `tokenizer`. Out, instead of the messages:

| column | type | meaning |
|---|---|---|
| tokens | list(i32) | the conversation, from its start token on (models/chat/renderer.py) |
| mask | list(bool) | of each token, whether it is learnt |
| vocabulary | string | digest of what the ids stand for |
| token_count | i64 | signal: tokens of the whole conversation |
| learnt_tokens | i64 | signal: those that are learnt, of what is left |
| left_out | i64 | signal: messages that were left out because the conversation was too long |

| reason | |
|---|---|
| too_long | more tokens than a row; with `truncate` only where the system message and the last exchange alone are |
| nothing_learnt | of what is left, nothing is learnt |

A conversation that is too long loses its oldest exchanges, the system message stays (models/chat/context.py); `left_out` counts them.
"""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from models.chat.context import shortened
from models.chat.conversation import Message
from models.chat.renderer import Rendered, render_all
from stages.posttraining.conversations import MESSAGES, messages_of
from stages.rules import Rule, decide
from stages.stage import Config, Sides, Stage
from stages.tokens.vocabulary import Vocabulary, vocabulary

BATCH = 256

ADDS: dict[str, pl.DataType] = {
    "tokens": pl.List(pl.Int32()),
    "mask": pl.List(pl.Boolean()),
    "vocabulary": pl.String(),
}
SIGNALS: dict[str, pl.DataType] = {"token_count": pl.Int64(), "learnt_tokens": pl.Int64(), "left_out": pl.Int64()}
KEEPS = ("id", "source", "split")


class RenderConfig(Config):
    """How long a conversation may be."""

    row_length: int = Field(1024, ge=8, le=1 << 20)
    """T: a conversation has at most T + 1 tokens, so that it fits a row of `layout`."""
    too_long: Literal["truncate", "drop"] = "truncate"
    """What happens to longer ones: the oldest exchanges are left out, or all of it is."""


def rules(config: RenderConfig) -> list[Rule]:
    fitting = "token_count" if config.too_long == "drop" else "left_tokens"
    return [
        Rule("too_long", fitting, "above", config.row_length + 1),
        Rule("nothing_learnt", "learnt_tokens", "below", 1),
    ]


def run(docs: pl.DataFrame, config: RenderConfig, sides: Sides) -> pl.DataFrame:
    """Raises Unusable for a conversation that is unsound, naming it, and for a tokenizer without the reserved tokens."""
    known = vocabulary(sides["tokenizer"])
    frames = [pl.DataFrame(schema=ADDS | SIGNALS | {"left_tokens": pl.Int64()})]
    for begin in range(0, docs.height, BATCH):
        some = docs[begin : begin + BATCH]
        conversations = [messages_of(rows, identity) for identity, rows in some.select("id", "messages").iter_rows()]
        frames.append(_rendered(conversations, known, config))
    out = docs.select(KEEPS).hstack(pl.concat(frames))
    return decide(out, rules(config)).drop("left_tokens")


def _rendered(conversations: list[tuple[Message, ...]], known: Vocabulary, config: RenderConfig) -> pl.DataFrame:
    whole = render_all(conversations, known.tokenizer)
    left = [_fitted(messages, one, config) for messages, one in zip(conversations, whole, strict=True)]
    return pl.DataFrame(
        {
            "tokens": [one.tokens for one, _ in left],
            "mask": [one.mask for one, _ in left],
            "vocabulary": [known.digest] * len(left),
            "token_count": [len(one.tokens) for one in whole],
            "learnt_tokens": [sum(one.mask) for one, _ in left],
            "left_out": [count for _, count in left],
            "left_tokens": [len(one.tokens) for one, _ in left],
        },
        schema=ADDS | SIGNALS | {"left_tokens": pl.Int64()},
    )


def _fitted(messages: tuple[Message, ...], whole: Rendered, config: RenderConfig) -> tuple[Rendered, int]:
    """What is left of a conversation, all of it where it cannot be made to fit; how many messages were left out."""
    found = shortened(messages, whole, config.row_length + 1) if config.too_long == "truncate" else None
    return found or (whole, 0)


RENDER = Stage(
    name="render",
    version=1,
    run=run,
    config=RenderConfig,
    needs={"id": pl.String(), "messages": MESSAGES, "source": pl.String(), "split": pl.String()},
    keeps=KEEPS,
    adds=ADDS,
    signals=SIGNALS,
    filters=True,
    sides={"tokenizer": "artifact"},
)
