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

A prompt that is too long loses its oldest exchanges, the system message stays (models/chat/context.py).
"""

from __future__ import annotations

from typing import Any

import polars as pl
from pydantic import Field

from models.chat.context import excess, without
from models.chat.renderer import prompt, render
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


class RenderPreferencesConfig(Config):
    """How long a prompt with an answer may be."""

    row_length: int = Field(1024, ge=8, le=1 << 20)
    """Most tokens of a prompt with an answer: the context of the models that are to read them, or less."""


def run(docs: pl.DataFrame, config: RenderPreferencesConfig, sides: Sides) -> pl.DataFrame:
    """Raises Unusable for a conversation that is unsound, naming it, and for a tokenizer without the reserved tokens."""
    known = vocabulary(sides["tokenizer"])
    rows = [_rendered(row, known.tokenizer, config.row_length) for row in docs.iter_rows(named=True)]
    schema = {name: kind for name, kind in (ADDS | SIGNALS).items() if name != "vocabulary"} | {"left_tokens": pl.Int64()}
    tokens = pl.DataFrame(rows, schema=schema).with_columns(vocabulary=pl.lit(known.digest))
    out = docs.select(KEEPS).hstack(tokens.select([*ADDS, *SIGNALS, "left_tokens"]))
    return decide(out, [Rule("too_long", "left_tokens", "above", config.row_length)]).drop("left_tokens")


def _rendered(row: dict[str, Any], tokenizer: Tokenizer, longest: int) -> dict[str, Any]:
    asked = messages_of(row["prompt"], row["id"])
    wholes = [messages_of([*row["prompt"], *row[side]], row["id"]) for side in ("chosen", "rejected")]
    whole = [render(messages, tokenizer) for messages in wholes]
    token_count = max(len(one.tokens) for one in whole)
    counts = [excess(messages, one.ends, longest) for messages, one in zip(wholes, whole, strict=True)]
    count = 0 if None in counts else max(one or 0 for one in counts)
    if count:
        asked = without(asked, count)
        whole = [render(without(messages, count), tokenizer) for messages in wholes]
    out: dict[str, Any] = {"prompt_tokens": prompt(asked, tokenizer)}
    at = len(out["prompt_tokens"])
    for side, one in zip(("chosen", "rejected"), whole, strict=True):
        out |= {f"{side}_tokens": one.tokens[at:], f"{side}_mask": one.mask[at:]}
    return out | {"token_count": token_count, "left_out": count, "left_tokens": max(len(one.tokens) for one in whole)}


RENDER_PREFERENCES = Stage(
    name="render_preferences",
    version=1,
    run=run,
    config=RenderPreferencesConfig,
    needs=PREFERENCES,
    keeps=KEEPS,
    adds=ADDS,
    signals=SIGNALS,
    filters=True,
    sides={"tokenizer": "artifact"},
)
