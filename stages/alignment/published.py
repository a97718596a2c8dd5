"""Rows of published datasets that name their answers in a way of their own, as rows that compared.py knows.

| dataset | fields | the better one |
|---|---|---|
| Nectar | prompt, answers: a list of answer and rank | the lower rank |
| UltraFeedback | instruction, completions: a list of response and overall_score | the higher score |
| OpenAI's for fine-tuning | input.messages, preferred_output, non_preferred_output | |
| StackExchange, paired | question, response_j, response_k | j |
| PKU-SafeRLHF | prompt, response_0, response_1, better_response_id | 0 or 1 |
| HelpSteer2 | prompt, response_1, response_2, preference_strength | below zero 1, above it 2 |
| AlpacaFarm | instruction, output_1, output_2, preference | 1 or 2; 0 or 1.5: a tie |
| SHP | history, human_ref_A, human_ref_B, labels | 1: A, 0: B |
| Chatbot Arena | conversation_a, conversation_b, winner | model_a or model_b, or a tie |

A margin is read from none of them: their scores are not of one kind.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import isfinite
from typing import Any

from stages.posttraining.unfit import Unfit

Row = Mapping[str, Any]

_LISTS = {"answers": ("answer", "rank", 1), "completions": ("response", "overall_score", -1)}
"""List -> field of the answer, field of its worth, and whether the least is the best (1) or the greatest (-1)."""
_PAIRS: dict[str, tuple[str, str, Mapping[Any, int]]] = {
    "better_response_id": ("response_0", "response_1", {0: 0, 1: 1}),
    "preference": ("output_1", "output_2", {1: 0, 2: 1}),
    "labels": ("human_ref_A", "human_ref_B", {1: 0, 0: 1}),
    "winner": ("conversation_a", "conversation_b", {"model_a": 0, "model_b": 1}),
}
"""Verdict -> the two answers, and which of them each verdict says is better."""
_TIES: dict[str, tuple[Any, ...]] = {"winner": ("tie", "tie (bothbad)"), "preference": (0, 1.5)}
"""Verdict -> what it is where neither is better."""
_ORDERED = {"preferred_output": "non_preferred_output", "response_j": "response_k"}


def known(row: Row) -> Row:
    """With `chosen` and `rejected`, or with `answers` and `ranks`; as it is where it has these, or is of none of these datasets.

    Raises Unfit where the verdict is none that the dataset has.
    """
    if row.get("chosen") is not None and row.get("rejected") is not None:
        return row
    for name, (answer, worth, sign) in _LISTS.items():
        rated = row.get(name)
        if isinstance(rated, Sequence) and rated and all(_rated(one, answer, worth) for one in rated):
            return {**row, "answers": [one[answer] for one in rated], "ranks": [sign * one[worth] for one in rated]}
    for better, worse in _ORDERED.items():
        if row.get(better) is not None and row.get(worse) is not None:
            given = row.get("input")
            asked = (
                {name: given[name] for name in ("messages", "tools") if name in given} | {"input": None}
                if isinstance(given, Mapping)
                else {}
            )
            return {**row, **asked, "chosen": row[better], "rejected": row[worse]}
    for verdict, (first, second, says) in _PAIRS.items():
        if row.get(first) is not None and row.get(second) is not None and row.get(verdict) is not None:
            if verdict == "labels":
                row = {**row, "prompt": row.get("history"), "history": None}
            return _judged(row, row[first], row[second], _better(verdict, row[verdict], says))
    strength = row.get("preference_strength")
    if strength is not None and row.get("response_1") is not None and row.get("response_2") is not None:
        if isinstance(strength, bool) or not isinstance(strength, int | float) or not isfinite(strength):
            raise Unfit(
                "unrecognised", f"preference_strength is {strength!r}; expected a number, below zero where response_1 is better"
            )
        return _judged(row, row["response_1"], row["response_2"], None if strength == 0 else int(strength > 0))
    return row


def _rated(one: Any, answer: str, worth: str) -> bool:
    return isinstance(one, Mapping) and isinstance(one.get(answer), str) and isinstance(one.get(worth), int | float)


def _better(verdict: str, said: Any, says: Mapping[Any, int]) -> int | None:
    """Which answer is the better one; None of a tie. Numbers may be floats or texts: a column with a gap is one of floats."""
    if isinstance(said, str) and said.strip().isdigit():
        said = int(said)
    if isinstance(said, Hashable) and said in says:
        return says[said]
    if said in _TIES.get(verdict, ()):
        return None
    raise Unfit("unrecognised", f"{verdict} is {said!r}; expected one of {', '.join(map(repr, says))}")


def _judged(row: Row, first: Any, second: Any, better: int | None) -> Row:
    if better is None:
        return {**row, "answers": [first, second], "ranks": [1, 1]}
    both = (first, second)
    return {**row, "chosen": both[better], "rejected": both[1 - better]}
