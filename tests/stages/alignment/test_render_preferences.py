"""Preferences as tokens."""

from pathlib import Path

import polars as pl
import pytest

from models.chat.conversation import ASSISTANT, SYSTEM, TOOL, USER, Call, Message
from models.chat.renderer import prompt, render
from models.tokenizer.tokenizer import Tokenizer
from stages.alignment.preferences import PREFERENCES
from stages.alignment.render_preferences import RENDER_PREFERENCES, RenderPreferencesConfig
from stages.posttraining.conversations import rows_of
from stages.stage import Input
from tests.stages.posttraining import sft_worlds

ASKED = [Message(SYSTEM, "Be brief."), Message(USER, "How much is 1 + 2?")]
CALLED = [Message(ASSISTANT, "", None, Call("python", "1+2")), Message(TOOL, "3"), Message(ASSISTANT, "It is 3.")]
PLAIN = [Message(ASSISTANT, "It is 4. Indeed.")]


@pytest.fixture
def vocabulary(vocabulary_folder: Path) -> Input:
    return sft_worlds.listed(vocabulary_folder)


def rows(*asked: list[Message]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": [str(number) for number in range(len(asked))],
            "prompt": [rows_of(one) for one in asked],
            "chosen": [rows_of(CALLED)] * len(asked),
            "rejected": [rows_of(PLAIN)] * len(asked),
            "annotator": ["Ann"] * len(asked),
            "margin": [None] * len(asked),
            "ranking": [None] * len(asked),
            "source": ["made"] * len(asked),
            "split": ["train"] * len(asked),
        },
        schema=PREFERENCES,
    )


def test_prompt_and_answer_are_the_tokens_of_the_whole_conversation(vocabulary: Input, tokenizer: Tokenizer) -> None:
    found = RENDER_PREFERENCES.run(rows(ASKED), RenderPreferencesConfig(), {"tokenizer": vocabulary})
    assert list(found.columns) == list(RENDER_PREFERENCES.schema(PREFERENCES))
    row = found.row(0, named=True)
    for side, answer in (("chosen", CALLED), ("rejected", PLAIN)):
        whole = render([*ASKED, *answer], tokenizer)
        assert row["prompt_tokens"] + row[f"{side}_tokens"] == whole.tokens
        assert row[f"{side}_mask"] == whole.mask[len(row["prompt_tokens"]) :]
    assert not all(row["chosen_mask"])  # what the tool gave back is read, not said
    assert all(row["rejected_mask"])
    assert (row["left_out"], row["reason"]) == (0, None)


def test_a_prompt_that_is_too_long_loses_its_oldest_exchanges_for_both_answers(vocabulary: Input, tokenizer: Tokenizer) -> None:
    before = [Message(USER, "How much is 5 + 6? " * 4), Message(ASSISTANT, "It is 11.")]
    docs = rows([ASKED[0], *before, ASKED[1]], [ASKED[0], Message(USER, "How much? " * 40)])
    longest = max(len(render([*ASKED, *answer], tokenizer).tokens) for answer in (CALLED, PLAIN))
    found = RENDER_PREFERENCES.run(docs, RenderPreferencesConfig(row_length=longest), {"tokenizer": vocabulary})
    assert found["left_out"].to_list() == [2, 0]
    assert found["reason"].to_list() == [None, "too_long"]
    assert (
        found["prompt_tokens"][0].to_list() + found["chosen_tokens"][0].to_list() == render([*ASKED, *CALLED], tokenizer).tokens
    )
    assert found["reason_threshold"][1] == longest


def test_answers_of_one_order_keep_one_prompt(vocabulary: Input, tokenizer: Tokenizer) -> None:
    before = [Message(USER, "How much is 5 + 6? " * 4), Message(ASSISTANT, "It is 11.")]
    asked = [ASKED[0], *before, ASKED[1]]
    docs = rows(asked, asked, asked).with_columns(
        chosen=pl.Series([rows_of(CALLED), rows_of(PLAIN), rows_of(PLAIN)], dtype=PREFERENCES["chosen"]),
        ranking=pl.Series(["one", "one", None]),
    )
    longest = len(render([*asked, *CALLED], tokenizer).tokens) - 1
    assert longest > len(render([*asked, *PLAIN], tokenizer).tokens)
    found = RENDER_PREFERENCES.run(docs, RenderPreferencesConfig(row_length=longest), {"tokenizer": vocabulary})
    assert found["left_out"].to_list() == [2, 2, 0]
    assert found["prompt_tokens"][0].to_list() == found["prompt_tokens"][1].to_list() == prompt([*ASKED], tokenizer)
    assert found["reason"].to_list() == [None] * 3
