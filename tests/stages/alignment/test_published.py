"""Rows as published datasets of preferences have them."""

from typing import Any

import pytest

from models.chat.conversation import ASSISTANT, USER, Message
from stages.alignment.compared import Pair, compare

ASK, GOOD, BAD = "How much is 2 + 2?", "4.", "A fish."
PAIR = Pair((Message(USER, ASK),), (Message(ASSISTANT, GOOD),), (Message(ASSISTANT, BAD),))


def talk(answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": ASK}, {"role": "assistant", "content": answer}]


SAID = {name: [{"role": "assistant", "content": text}] for name, text in (("good", GOOD), ("bad", BAD))}
ROWS: dict[str, dict[str, Any]] = {
    "Nectar": {
        "prompt": f"\n\nHuman: {ASK}\n\nAssistant: ", "turns": 1,
        "answers": [{"answer": BAD, "model": "a", "rank": 2.0}, {"answer": GOOD, "model": "b", "rank": 1.0}],
    },
    "UltraFeedback": {
        "source": "s", "instruction": ASK,
        "completions": [{"response": BAD, "overall_score": 3.5}, {"response": GOOD, "overall_score": 8.0}],
    },
    "OpenAI": {
        "input": {"messages": talk("")[:1], "tools": [], "parallel_tool_calls": True},
        "preferred_output": SAID["good"], "non_preferred_output": SAID["bad"],
    },
    "StackExchange": {"qid": 4, "question": ASK, "date": "2020", "metadata": ["x"], "response_j": GOOD, "response_k": BAD},
    "SafeRLHF": {"prompt": ASK, "response_0": BAD, "response_1": GOOD, "better_response_id": 1, "safer_response_id": 0},
    "HelpSteer2": {"prompt": ASK, "response_1": GOOD, "response_2": BAD, "preference_strength": -2, "preference_statement": "x"},
    "AlpacaFarm": {"instruction": ASK, "input": "", "output_1": BAD, "output_2": GOOD, "preference": 2},
    "SHP": {"post_id": "p", "history": ASK, "human_ref_A": GOOD, "human_ref_B": BAD, "labels": 1, "score_A": 9},
    "Arena": {"model_a": "a", "model_b": "b", "winner": "model_b", "conversation_a": talk(BAD), "conversation_b": talk(GOOD)},
}  # fmt: skip
TIES: dict[str, dict[str, Any]] = {
    "Nectar": {**ROWS["Nectar"], "answers": [{"answer": text, "rank": 1} for text in (GOOD, BAD)]},
    "HelpSteer2": {**ROWS["HelpSteer2"], "preference_strength": 0},
    "Arena": {**ROWS["Arena"], "winner": "tie (bothbad)"},
    "AlpacaFarm": {**ROWS["AlpacaFarm"], "preference": 1.5},
}


@pytest.mark.parametrize("name", ROWS)
def test_the_better_answer_is_chosen(name: str) -> None:
    assert compare(ROWS[name]).pairs == (PAIR,)


@pytest.mark.parametrize("name", TIES)
def test_where_none_is_better_it_is_a_tie(name: str) -> None:
    assert compare(TIES[name]).reason == "tie"


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("SafeRLHF", {"better_response_id": 1.0}),  # floats: a column with a gap
        ("SafeRLHF", {"better_response_id": "1"}),
        ("AlpacaFarm", {"preference": 2.0}),
        ("SHP", {"labels": True}),
    ],
)
def test_a_number_is_read_however_it_is_written(name: str, verdict: dict[str, Any]) -> None:
    assert compare(ROWS[name] | verdict).pairs == (PAIR,)


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("SafeRLHF", {"better_response_id": 2}),
        ("AlpacaFarm", {"preference": 1.98}),
        ("Arena", {"winner": "model_c"}),
        ("HelpSteer2", {"preference_strength": float("nan")}),
    ],
)
def test_a_verdict_that_says_nothing_is_told_and_no_tie(name: str, verdict: dict[str, Any]) -> None:
    found = compare(ROWS[name] | verdict)
    assert found.reason == "unrecognised"
    assert repr(next(iter(verdict.values()))) in str(found.detail)


def test_what_says_which_is_chosen_needs_no_verdict() -> None:
    for name in ("Nectar", "HelpSteer2", "Arena"):
        assert compare(TIES[name] | {"prompt": ASK, "chosen": GOOD, "rejected": BAD}).pairs == (PAIR,)


def test_the_tools_of_what_was_asked_are_listed() -> None:
    tools = [{"type": "function", "function": {"name": "find", "description": "Finds things"}}]
    [pair] = compare(ROWS["OpenAI"] | {"input": ROWS["OpenAI"]["input"] | {"tools": tools}}).pairs
    assert "find" in pair.prompt[0].content


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("odd", [None, [], 7, {"a": 1}, "text"])
def test_whatever_stands_in_a_field_a_row_is_a_pair_or_has_a_reason(name: str, odd: Any) -> None:
    for field in ROWS[name]:
        found = compare({**ROWS[name], field: odd})
        assert bool(found.pairs) == (found.reason is None)
