"""The simulated judge: what an answer about the simulated world is worth, by a rubric that is stated and the same for everybody.

| what | adds, by default |
|---|---|
| the answer is right (stages/evaluation/chat_judge.py) | 1 |
| it is not | -1 |
| it is courteous (stages/alignment/phrases.py) | 0.5 |
| it is rude | -1 |
| each word beyond 12 | -0.05 |
| it has no end | -1 |

To say that a known fact is not known is wrong like any other wrong answer: -1. If it cost nothing, a model that is rewarded for not
being wrong would learn to refuse everything.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from stages.alignment.phrases import polite, rude, words
from stages.evaluation.chat_judge import Question, Truth, Turn, right
from stages.stage import Config


class Rubric(Config):
    """What a property of an answer adds to its score."""

    right: float = 1.0
    """The answer is right."""
    wrong: float = -1.0
    """It is wrong, or says that it does not know what is known."""
    polite: float = 0.5
    """It is courteous."""
    rude: float = -1.0
    """It is rude."""
    words: int = Field(12, ge=0)
    """Words that cost nothing."""
    wordy: float = -0.05
    """Each word beyond these."""
    unfinished: float = -1.0
    """It has no end."""


@dataclass(frozen=True)
class Verdict:
    right: bool
    polite: bool
    rude: bool
    words: int
    finished: bool
    score: float


def judged(question: Question, turn: Turn, world: Truth, rubric: Rubric) -> Verdict:
    answer = turn.answer
    is_right, is_polite, is_rude, count, finished = (
        right(question, turn, world), polite(answer), rude(answer), words(answer), turn.said.finished,
    )  # fmt: skip
    score = rubric.right if is_right else rubric.wrong
    score += rubric.polite * is_polite + rubric.rude * is_rude + rubric.wordy * max(0, count - rubric.words)
    return Verdict(is_right, is_polite, is_rude, count, finished, score + (0.0 if finished else rubric.unfinished))
