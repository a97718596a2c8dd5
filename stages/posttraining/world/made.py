"""A conversation with what a test needs to know of it.

| column beside the schema's | type | meaning |
|---|---|---|
| kind | string | fact, multi_turn, unknown, arithmetic, python, search, idle, repeat, identity |
| part | string | of the kind: asked or never_asked; person or town; "3 steps"; spell, count, length, sum; found or not_found; name, maker, what |
| subject, attribute | string | of a question about a fact; null elsewhere |
| expected | string | what a right answer names; null where the right answer is that it is not known |
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from models.chat.conversation import ASSISTANT, USER, Message

BESIDE: dict[str, pl.DataType] = {
    "kind": pl.String(),
    "part": pl.String(),
    "subject": pl.String(),
    "attribute": pl.String(),
    "expected": pl.String(),
}
RESERVED_PART = 8
"""One in so many problems, words and sums is kept for tests."""


@dataclass(frozen=True)
class Made:
    messages: tuple[Message, ...]
    kind: str
    part: str
    expected: str | None
    subject: str | None = None
    attribute: str | None = None


def exchange(question: str, answer: str, thinking: str | None = None) -> tuple[Message, Message]:
    return Message(USER, question), Message(ASSISTANT, answer, thinking)


def reserved(*what: str | int | Sequence[int]) -> bool:
    """Whether a problem is kept for tests: a function of the problem alone."""
    digest = hashlib.sha256(repr(what).encode()).digest()
    return int.from_bytes(digest[:8], "big") % RESERVED_PART == 0
