"""Preferences as rows: the one schema of everything that says which of two answers is better, whoever said so.

| column | type | meaning |
|---|---|---|
| id | string | of the row, unique in its dataset |
| prompt | list(struct) | the conversation up to the answer, as `messages` of stages/posttraining/conversations.py |
| chosen, rejected | list(struct) | the better and the worse answer: mostly one message of the assistant, several where it calls tools |
| annotator | string | who says so: a person, a judge, the file that it was given in |
| margin | f64 | by how much it is better, on the annotator's own scale; null where that is not known |
| ranking | string | of pairs that come from one order of several answers, the same; null of a pair alone |
| source | string | where it comes from: a file, a stage |
| split | string | train or validation: prompts in which users say the same lie on one side |
"""

from __future__ import annotations

from itertools import combinations

import polars as pl

from stages.posttraining.conversations import MESSAGES

PREFERENCES: dict[str, pl.DataType] = {
    "id": pl.String(),
    "prompt": MESSAGES,
    "chosen": MESSAGES,
    "rejected": MESSAGES,
    "annotator": pl.String(),
    "margin": pl.Float64(),
    "ranking": pl.String(),
    "source": pl.String(),
    "split": pl.String(),
}


def ordered(ranks: list[float]) -> list[tuple[int, int]]:
    """Pairs (better, worse) of places among answers with these ranks, the lowest the best; none of answers that tie."""
    pairs = [(one, other) if ranks[one] < ranks[other] else (other, one) for one, other in combinations(range(len(ranks)), 2)]
    return [(better, worse) for better, worse in pairs if ranks[better] < ranks[worse]]
