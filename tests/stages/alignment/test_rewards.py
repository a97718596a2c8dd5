"""Rewards: what earns them, and what only looks like it."""

from collections.abc import Sequence

import pytest

from models.chat.generated import generated
from models.chat.renderer import encode, message_segments
from models.tokenizer.reserved import THINK
from models.tokenizer.tokenizer import Tokenizer
from stages.alignment.prompts import Prompt
from stages.alignment.rewards import reward_functions
from stages.alignment.rollout import Completion, Rollout, columns
from stages.posttraining.world.made import BESIDE, exchange
from storage.problem import Problem

WEIGHTS = {"answer": 1.0, "format": 1.0, "length": 1.0}


def said(tokenizer: Tokenizer, tokens: Sequence[int], cut: int = 0) -> Rollout:
    """An answer to what comes to 13, as a policy gave it; `cut`: tokens that there was no room for."""
    given = list(tokens[: len(tokens) - cut])
    done = Completion(given, [0.0] * len(given), [True] * len(given), "length" if cut else "stop")
    prompt = Prompt("one", exchange("What is 12+1?", "13")[:1], [1], dict.fromkeys(BESIDE) | {"expected": "13"})
    return Rollout(prompt, 0, 0, done, generated(given, tokenizer), "")


def spoken(tokenizer: Tokenizer, thinking: str | None, answer: str) -> list[int]:
    tokens = encode(message_segments(exchange("?", answer, thinking)[1], opened=True), tokenizer)
    return tokens


def rewards(rollout: Rollout) -> dict[str, float]:
    found = reward_functions(WEIGHTS, longest=40, soft=20)
    return {name: function([""], [""], **columns([rollout]))[0] for name, function in found.items()}


def test_a_thought_and_then_the_number_earn_both(tokenizer: Tokenizer) -> None:
    assert rewards(said(tokenizer, spoken(tokenizer, "12+1=13", "13"))) == {"answer": 1.0, "format": 1.0, "length": 0.0}


@pytest.mark.parametrize(
    ("thinking", "answer", "right", "formatted"),
    [
        (None, "13", 1.0, 0.0),
        ("12+1=14", "14", 0.0, 1.0),
        ("12+1=13", "It is 13 or 14", 0.0, 1.0),
        ("13", "", 0.0, 0.0),
        ("", "13", 1.0, 0.0),
        (" \n", "13", 1.0, 0.0),
    ],
)
def test_each_part_is_rewarded_alone(
    tokenizer: Tokenizer, thinking: str | None, answer: str, right: float, formatted: float
) -> None:
    found = rewards(said(tokenizer, spoken(tokenizer, thinking, answer)))
    assert (found["answer"], found["format"]) == (right, formatted)


def test_what_is_not_ended_and_a_thought_without_end_earn_nothing(tokenizer: Tokenizer) -> None:
    tokens = spoken(tokenizer, "12+1=13", "13")
    assert rewards(said(tokenizer, tokens, cut=1)) == {"answer": 0.0, "format": 0.0, "length": 0.0}
    typed = [*tokenizer.encode("<think>12+1=13</think>13"), tokens[-1]]  # letters, no reserved tokens
    assert rewards(said(tokenizer, typed))["format"] == 0.0
    twice = [tokenizer.special[THINK], *tokens]
    assert rewards(said(tokenizer, twice))["format"] == 0.0


def test_length_costs_from_the_soft_limit_on() -> None:
    length = reward_functions({"length": 1.0}, longest=40, soft=20)["length"]
    assert list(length([], [], tokens=[5, 20, 25, 40, 60])) == [0.0, 0.0, -0.25, -1.0, -1.0]


def test_a_function_of_ones_own_is_found_by_its_name_and_a_wrong_name_is_told() -> None:
    assert reward_functions({"json:dumps": 1.0}, 1, 1)["json:dumps"](["a"]) == '["a"]'
    for name in ("anwser", "json:nothing", "no_such_module:f"):
        with pytest.raises(Problem, match=f"there is no reward '{name}'.*expected one of answer, format, length"):
            reward_functions({name: 1.0}, 1, 1)
