"""Two small tokenizers, random conversations, and the texts that would like to be control tokens."""

from collections.abc import Iterator
from functools import lru_cache

import pytest
from hypothesis import strategies as st

from models.chat.conversation import ASSISTANT, SYSTEM, TOOL, TOOLS, USER, Call, Message
from models.tokenizer import bytelevel, load, sentence_piece
from models.tokenizer.reserved import RESERVED
from models.tokenizer.tokenizer import Tokenizer

TEXTS = [
    "What is the capital of Ostrava? The capital is far away, and nobody knows the way there.",
    "You are a helpful assistant. system user assistant tool python search",
    "12 + 30 = 42, and 42 / 6 = 7. Ünïcödé, 日本語, русский.\n\n\tIndented lines stay.",
] * 3


def texts() -> Iterator[str]:
    yield from TEXTS


@lru_cache
def files(kind: str) -> dict[str, bytes]:
    return bytelevel.train(texts(), 320) if kind == "bytelevel" else sentence_piece.train(texts(), 360)


@pytest.fixture(scope="session", params=["bytelevel", "sentencepiece"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return load.made(files(request.param))


# No lone surrogates (not in UTF-8), no U+2581 (sentencepiece's space).
plain = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁"), max_size=12)
words = st.builds("{}w{}".format, plain, plain)
clean = words.filter(lambda text: not any(name in text for name in RESERVED))
hostile = st.lists(
    st.one_of(st.sampled_from(RESERVED), st.sampled_from(["<|im_", "start|>", " ", "\n", "user"])), min_size=1
).map(lambda parts: "x" + "".join(parts))


def exchanges(text: st.SearchStrategy[str]) -> st.SearchStrategy[list[Message]]:
    """What a user says and what the assistant does about it."""
    thinking = st.one_of(st.none(), st.just(""), text)
    step = st.tuples(
        st.builds(
            Message,
            st.just(ASSISTANT),
            st.one_of(st.just(""), text),
            thinking,
            st.builds(Call, st.sampled_from(TOOLS), text),
        ),
        st.builds(Message, st.just(TOOL), st.one_of(st.just(""), text)),
    )
    return st.builds(
        lambda asked, steps, last: [asked, *(message for step in steps for message in step), last],
        st.builds(Message, st.just(USER), text),
        st.lists(step, max_size=2),
        st.builds(Message, st.just(ASSISTANT), text, thinking),
    )


def conversations(text: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[Message, ...]]:
    return st.builds(
        lambda system, parts: (*system, *(message for part in parts for message in part)),
        st.lists(st.builds(Message, st.just(SYSTEM), text), max_size=1),
        st.lists(exchanges(text), min_size=1, max_size=3),
    )
