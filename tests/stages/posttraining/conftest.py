"""A small tokenizer in a folder, and conversations as rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from models.chat.conversation import Call, Message
from models.tokenizer import bytelevel, load
from models.tokenizer.tokenizer import Tokenizer
from stages.posttraining.conversations import CONVERSATIONS, rows_of
from stages.stage import Input

SYSTEM = Message("system", "Be brief.")


def talk(number: int, turns: int = 1) -> list[Message]:
    """A conversation of so many exchanges; every third one uses a tool."""
    messages: list[Message] = []
    for turn in range(turns):
        messages.append(Message("user", f"How much is {number} + {turn}?"))
        if number % 3 == 0:
            messages += [Message("assistant", "", None, Call("python", f"{number}+{turn}")), Message("tool", str(number + turn))]
        messages.append(Message("assistant", f"It is {number + turn}." + " Indeed." * (number % 5)))
    return messages


def frame(conversations: Sequence[Sequence[Message]], split: str = "train", **columns: Any) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": [f"talk-{index}" for index in range(len(conversations))],
            "messages": [rows_of(one) for one in conversations],
            "source": ["made"] * len(conversations),
            "split": [split] * len(conversations),
        }
        | columns,
        schema=CONVERSATIONS,
    )


@pytest.fixture(scope="session")
def vocabulary_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("tokenizer")
    texts = ["How much is 12 + 34? It is 46. Indeed. Be brief. user assistant system tool"] * 5
    load.made(bytelevel.train(texts, 300)).save(folder)
    return folder


@pytest.fixture
def vocabulary(vocabulary_folder: Path) -> Input:
    return Input(vocabulary_folder, tuple(sorted(path.name for path in vocabulary_folder.iterdir())))


@pytest.fixture(scope="session")
def tokenizer(vocabulary_folder: Path) -> Tokenizer:
    return load.load(vocabulary_folder)
