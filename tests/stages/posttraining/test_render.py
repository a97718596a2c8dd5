"""Conversations become tokens with a loss mask; long ones lose their oldest exchanges or are dropped, and it is counted."""

import polars as pl
import pytest

from models.chat.conversation import Message
from models.chat.renderer import render
from models.tokenizer.tokenizer import Tokenizer
from models.unusable import Unusable
from stages.posttraining.conversations import CONVERSATIONS
from stages.posttraining.render import BATCH, RENDER, RenderConfig
from stages.stage import Input

from .conftest import SYSTEM, frame, talk


def test_a_row_is_what_the_renderer_makes_of_the_conversation(vocabulary: Input, tokenizer: Tokenizer) -> None:
    conversations = [talk(number, 1 + number % 2) for number in range(BATCH + 3)]
    docs = frame(conversations)
    out = RENDER.run(docs, RenderConfig(row_length=512), {"tokenizer": vocabulary})
    assert dict(out.schema) == RENDER.schema(CONVERSATIONS)
    assert out.select("id", "source", "split").equals(docs.select("id", "source", "split"))
    assert out["reason"].null_count() == out.height
    for tokens, mask, count, learnt, conversation in zip(
        *(out[name].to_list() for name in ("tokens", "mask", "token_count", "learnt_tokens")), conversations, strict=True
    ):
        made = render(conversation, tokenizer)
        assert (tokens, mask) == (made.tokens, made.mask)
        assert (count, learnt) == (len(tokens), sum(mask))
    assert out["left_out"].sum() == 0


def test_a_long_conversation_loses_its_oldest_exchanges_or_is_dropped(vocabulary: Input, tokenizer: Tokenizer) -> None:
    long = [SYSTEM, *talk(1, 6)]
    kept = [SYSTEM, *talk(1, 6)[8:]]
    room = len(render(kept, tokenizer).tokens) - 1
    docs = frame([long, talk(1)])
    out = RENDER.run(docs, RenderConfig(row_length=room), {"tokenizer": vocabulary})
    assert out["left_out"].to_list() == [8, 0]
    assert out["reason"].to_list() == [None, None]
    assert out["tokens"][0].to_list() == render(kept, tokenizer).tokens
    assert out["token_count"][0] == len(render(long, tokenizer).tokens)
    dropped = RENDER.run(docs, RenderConfig(row_length=room, too_long="drop"), {"tokenizer": vocabulary})
    assert dropped.select("reason", "reason_value", "reason_threshold").rows() == [
        ("too_long", float(len(render(long, tokenizer).tokens)), room + 1.0),
        (None, None, None),
    ]
    assert dropped["left_out"].to_list() == [0, 0]


def test_what_cannot_be_made_to_fit_and_what_teaches_nothing_has_a_reason(vocabulary: Input, tokenizer: Tokenizer) -> None:
    huge = [Message("user", "x" * 500), Message("assistant", "y")]
    unanswered = [*talk(1, 3), Message("user", "And?")]
    docs = frame([huge, unanswered, [Message("user", "Hm")]])
    out = RENDER.run(docs, RenderConfig(row_length=24), {"tokenizer": vocabulary})
    assert out["reason"].to_list() == ["too_long", "nothing_learnt", "nothing_learnt"]
    assert out["reason_value"][0] == len(render(huge, tokenizer).tokens)
    assert out["left_out"].to_list() == [0, 6, 0]


def test_no_conversations_are_no_rows_of_the_same_columns(vocabulary: Input) -> None:
    out = RENDER.run(frame([]), RenderConfig(), {"tokenizer": vocabulary})
    assert out.height == 0
    assert dict(out.schema) == RENDER.schema(CONVERSATIONS)


def test_an_unsound_conversation_is_named(vocabulary: Input) -> None:
    with pytest.raises(Unusable, match="conversation talk-1: message 2 of 2: two turns of the assistant in a row"):
        RENDER.run(
            frame([talk(1), [Message("assistant", "a"), Message("assistant", "b")]]), RenderConfig(), {"tokenizer": vocabulary}
        )


def test_thresholds_may_be_tried_again_over_the_signals(vocabulary: Input) -> None:
    out = RENDER.run(frame([talk(4, 4)]), RenderConfig(row_length=8, too_long="drop"), {"tokenizer": vocabulary})
    assert isinstance(out, pl.DataFrame)
    assert out["reason"].to_list() == ["too_long"]
    assert out["learnt_tokens"][0] > 0
