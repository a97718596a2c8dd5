"""Whether a chat model's turn is right: what it said last, what it called, and what a right answer would have named.

| kind of question | right |
|---|---|
| fact, retrieval, multi_turn, search (found) | the first value of the attribute that is named is the true one, said of the subject, and nothing is refused |
| unknown, search (not_found) | the answer says that it is not known |
| arithmetic | the answer is the number alone |
| python | the answer names the tool's true result, as a word |
| identity | the answer names the name, the maker or what it is |
| idle | no tool was called |
| repeat | the answer is the text, to the letter |
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from models.chat.conversation import Call
from models.chat.generated import Generated
from stages.evaluation.facts import Fact, attributes
from stages.evaluation.prompted import judge
from stages.posttraining.world.questions import unknowing


@dataclass(frozen=True)
class Truth:
    """What is known of the world, for judging."""

    facts: Mapping[tuple[str, str], Fact]
    """(subject, attribute) -> the fact."""
    values: Mapping[str, Sequence[str]]
    """Attribute -> all that could be said."""
    subjects: Mapping[str, frozenset[str]]
    """Kind -> names."""

    def names(self, answer: str, fact: Fact) -> bool:
        """Whether the answer names the fact's value, of its subject."""
        return judge(answer, fact, self.values[fact.attribute], self.subjects[fact.kind])[1]


@dataclass(frozen=True)
class Question:
    """A test: see `stages/posttraining/world/made.py`."""

    kind: str
    part: str
    subject: str | None
    attribute: str | None
    expected: str | None


@dataclass(frozen=True)
class Turn:
    """What the model made of a question."""

    said: Generated
    calls: Sequence[tuple[Call, str]] = field(default_factory=list)
    """Each call and its result."""

    @property
    def answer(self) -> str:
        return self.said.answer.strip()


def truth(facts: Sequence[Fact]) -> Truth:
    about = attributes(facts)
    kinds = {fact.kind for fact in facts}
    subjects = {kind: frozenset(name for fact in facts if fact.kind == kind for name in fact.names) for kind in kinds}
    known = {(fact.subject, fact.attribute): fact for fact in facts if fact.attribute in about}
    return Truth(known, {name: about[name].values for name in about}, subjects)


def right(question: Question, turn: Turn, world: Truth) -> bool:
    answer, expected = turn.answer, question.expected
    if question.kind == "idle":
        return not called(turn)
    if expected is None:
        return unknowing(answer)
    if question.kind in ("fact", "retrieval", "multi_turn", "search"):
        fact = world.facts.get((question.subject or "", question.attribute or ""))
        return fact is not None and world.names(answer, fact) and not unknowing(answer)
    if question.kind == "arithmetic":
        return answer.rstrip(".") == expected
    if question.kind == "repeat":
        return answer == expected
    if question.kind == "identity":
        return expected.casefold() in answer.casefold()
    return re.search(rf"(?<![\w-]){re.escape(expected)}(?![\w-])", answer) is not None


def called(turn: Turn) -> bool:
    """Whether any tool was called, also one that does not exist here."""
    return bool(turn.calls) or any(message.call is not None for message in turn.said.messages)
