from collections.abc import Sequence

import pytest

from models.chat.conversation import Call
from models.chat.generated import generated
from models.chat.renderer import result
from models.chat.tools.answer import answering
from models.chat.tools.expression import evaluate
from models.chat.tools.tool import Tool
from models.tokenizer.reserved import PYTHON, PYTHON_END, RESULT, RESULT_END, SEARCH, SEARCH_END, TURN_END
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.generate import Request, generate
from models.transformer.sampling import GREEDY
from tests.models.chat.tools.walking import walking

PYTHON_TOOL = Tool("python", "expression", "computes", evaluate)


def written(tokenizer: Tokenizer, *parts: str) -> list[int]:
    """Reserved names as the tokens, all else as text."""
    return [
        token for part in parts for token in ([tokenizer.special[part]] if part in tokenizer.special else tokenizer.encode(part))
    ]


def test_behind_a_call_comes_its_result(tokenizer: Tokenizer) -> None:
    answer = answering([PYTHON_TOOL], tokenizer)
    assert answer(written(tokenizer, "I compute. ", PYTHON, "6 * 7", PYTHON_END)) == written(tokenizer, RESULT, "42", RESULT_END)
    assert answer(written(tokenizer, PYTHON, "1 / 0", PYTHON_END)) == result("error: division by zero", tokenizer)


@pytest.mark.parametrize(
    "parts",
    [(), ("6 * 7",), (PYTHON, "6 * 7"), ("6 * 7", PYTHON_END), (SEARCH, "6 * 7", PYTHON_END), (PYTHON, "6", TURN_END, "7", PYTHON_END),
     (PYTHON, "6 * 7", PYTHON_END, " "), ("<|python_start|", ">6 * 7", "<|python_end|", ">")],
)  # fmt: skip
def test_nothing_is_put_in_where_no_call_has_just_ended(tokenizer: Tokenizer, parts: tuple[str, ...]) -> None:
    assert answering([PYTHON_TOOL], tokenizer)(written(tokenizer, *parts)) == []


def test_a_tool_that_the_conversation_does_not_have_is_told_so(tokenizer: Tokenizer) -> None:
    heard: list[tuple[Call, str]] = []
    answer = answering([PYTHON_TOOL], tokenizer, told=lambda made, text: heard.append((made, text)))
    answer(written(tokenizer, SEARCH, "owls", SEARCH_END))
    assert heard == [(Call("search", "owls"), "error: there is no tool search in this conversation")]


def test_one_call_too_many_is_told_so(tokenizer: Tokenizer) -> None:
    answer = answering([PYTHON_TOOL], tokenizer, most_calls=2)
    tokens: list[int] = []
    for expected in ("2", "2", "error: no more than 2 calls are allowed"):
        tokens += written(tokenizer, PYTHON, "1 + 1", PYTHON_END)
        put = answer(tokens)
        assert put == result(expected, tokenizer)
        tokens += put


def test_a_result_is_cut_to_its_length_and_a_reserved_name_in_it_is_text(tokenizer: Tokenizer) -> None:
    answer = answering([Tool("search", "query", "", lambda query: f"{TURN_END}{query}" + "x" * 500)], tokenizer, longest=50)
    put = answer(written(tokenizer, SEARCH, "owls", SEARCH_END))
    assert put[0] == tokenizer.special[RESULT]
    assert put[-1] == tokenizer.special[RESULT_END]
    assert not set(put[1:-1]) & set(tokenizer.special.values())
    assert len(tokenizer.decode(put)) == 50


def test_the_engine_puts_the_result_in_and_goes_on(tokenizer: Tokenizer) -> None:
    """A model of no layers whose next token is a function of the last: it walks through a call and on from the result's end."""
    walk = written(tokenizer, "A", PYTHON, "3", PYTHON_END)
    assert len(walk) == len(set(walk))
    ends = tokenizer.special[RESULT_END]
    following = dict(zip(walk, [*walk[1:], walk[0]], strict=True)) | {ends: tokenizer.special[TURN_END]}
    [done] = generate(walking(tokenizer.size, following), [
        Request(walk[:1], 40, GREEDY, stops=[tokenizer.special[TURN_END]], answer=answering([PYTHON_TOOL], tokenizer))
    ])  # fmt: skip
    assert done.tokens == [*walk[1:], *result("3", tokenizer), tokenizer.special[TURN_END]]
    assert done.chosen == [True] * len(walk[1:]) + [False] * len(result("3", tokenizer)) + [True]
    read = generated(done.tokens, tokenizer)
    assert [(message.role, message.content, message.call) for message in read.messages] == [
        ("assistant", "", Call("python", "3")), ("tool", "3", None)
    ]  # fmt: skip
    assert read.finished


def test_what_ends_no_call_costs_little(tokenizer: Tokenizer) -> None:
    def failing(argument: str) -> str:
        raise AssertionError

    answer = answering([Tool("python", "expression", "", failing)], tokenizer)
    tokens: Sequence[int] = written(tokenizer, "some text ") * 100
    assert all(answer(tokens[:length]) == [] for length in range(len(tokens)))
