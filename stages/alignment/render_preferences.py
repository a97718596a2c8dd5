"""Render preferences: prompts and both answers as tokens.

In: rows of `preferences.py`; side `tokenizer`. Out, instead of the messages:

| column | type | meaning |
|---|---|---|
| prompt_tokens | list(i32) | the conversation up to the answer, from its start token on, and what makes the assistant speak |
| chosen_tokens, rejected_tokens | list(i32) | the answers, the token that ends the turn included |
| chosen_mask, rejected_mask | list(bool) | of each of their tokens, whether the assistant says it: not what a tool gave back |
| vocabulary | string | digest of what the ids stand for |
| token_count | i64 | signal: tokens of the whole prompt with the longer answer |
| left_out | i64 | signal: messages that were left out because that was too long |

| reason | |
|---|---|
| too_long | more tokens than `row_length`, also with nothing but the system message and the last question before the answers |

A prompt that is too long loses its oldest exchanges, the system message stays (models/chat/context.py); that of a ranking as many for all its
answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
from pydantic import Field

from models.chat.context import excess, without
from models.chat.conversation import Message
from models.chat.renderer import Rendered, prompt, render
from models.tokenizer.tokenizer import Tokenizer
from stages.alignment.preferences import PREFERENCES
from stages.posttraining.conversations import messages_of
from stages.rules import Rule, decide
from stages.stage import Config, Sides, Stage
from stages.tokens.vocabulary import vocabulary

KEEPS = ("id", "annotator", "margin", "ranking", "source", "split")
ADDS: dict[str, pl.DataType] = {
    "prompt_tokens": pl.List(pl.Int32()),
    "chosen_tokens": pl.List(pl.Int32()),
    "chosen_mask": pl.List(pl.Boolean()),
    "rejected_tokens": pl.List(pl.Int32()),
    "rejected_mask": pl.List(pl.Boolean()),
    "vocabulary": pl.String(),
}
SIGNALS: dict[str, pl.DataType] = {"token_count": pl.Int64(), "left_out": pl.Int64()}
RENDERED = {name: PREFERENCES[name] for name in KEEPS} | ADDS


LEAST = 8
"""Tokens of a row."""


class RenderPreferencesConfig(Config):
    """How long a prompt with an answer may be."""

    row_length: int = Field(1024, ge=LEAST, le=1 << 20)
    """Most tokens of a prompt with an answer: the context of the models that are to read them, or less."""


def run(docs: pl.DataFrame, config: RenderPreferencesConfig, sides: Sides) -> pl.DataFrame:
    """Raises Unusable for a conversation that is unsound, naming it, and for a tokenizer without the reserved tokens."""
    known = vocabulary(sides["tokenizer"])
    read = [_read(row, known.tokenizer, config.row_length) for row in docs.iter_rows(named=True)]
    most: dict[str, int] = {}
    for ranking, one in zip(docs["ranking"], read, strict=True):
        if ranking is not None:
            most[ranking] = max(most.get(ranking, 0), one.excess)
    rows = [
        _rendered(one, known.tokenizer, one.excess if ranking is None else most[ranking])
        for ranking, one in zip(docs["ranking"], read, strict=True)
    ]
    schema = {name: kind for name, kind in (ADDS | SIGNALS).items() if name != "vocabulary"} | {"left_tokens": pl.Int64()}
    tokens = pl.DataFrame(rows, schema=schema).with_columns(vocabulary=pl.lit(known.digest))
    out = docs.select(KEEPS).hstack(tokens.select([*ADDS, *SIGNALS, "left_tokens"]))
    return decide(out, [Rule("too_long", "left_tokens", "above", config.row_length)]).drop("left_tokens")


@dataclass(frozen=True)
class _Pair:
    asked: tuple[Message, ...]
    sides: tuple[tuple[Message, ...], ...]
    """What was asked, with either answer."""
    rendered: tuple[Rendered, ...]
    excess: int
    """How many of the oldest messages are too many; 0 as well where there would be no question left."""


def _read(row: dict[str, Any], tokenizer: Tokenizer, longest: int) -> _Pair:
    sides = tuple(messages_of([*row["prompt"], *row[side]], row["id"]) for side in ("chosen", "rejected"))
    rendered = tuple(render(messages, tokenizer) for messages in sides)
    counts = [excess(messages, one.ends, longest) for messages, one in zip(sides, rendered, strict=True)]
    return _Pair(messages_of(row["prompt"], row["id"]), sides, rendered, 0 if None in counts else max(one or 0 for one in counts))


def _rendered(pair: _Pair, tokenizer: Tokenizer, left_out: int) -> dict[str, Any]:
    asked, rendered = pair.asked, pair.rendered
    if left_out:
        asked = without(asked, left_out)
        rendered = tuple(render(without(messages, left_out), tokenizer) for messages in pair.sides)
    out: dict[str, Any] = {"prompt_tokens": prompt(asked, tokenizer)}
    at = len(out["prompt_tokens"])
    for side, one in zip(("chosen", "rejected"), rendered, strict=True):
        out |= {f"{side}_tokens": one.tokens[at:], f"{side}_mask": one.mask[at:]}
    tokens = max(len(one.tokens) for one in pair.rendered)
    return out | {"token_count": tokens, "left_out": left_out, "left_tokens": max(len(one.tokens) for one in rendered)}


RENDER_PREFERENCES = Stage(
    name="render_preferences",
    version=2,
    run=run,
    config=RenderPreferencesConfig,
    needs=PREFERENCES,
    keeps=KEEPS,
    adds=ADDS,
    signals=SIGNALS,
    filters=True,
    sides={"tokenizer": "artifact"},
)
