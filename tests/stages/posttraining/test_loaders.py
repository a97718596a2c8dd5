"""Every common shape becomes a conversation, and every other row says why it is none."""

import json
from typing import Any

import pytest

from models.chat.conversation import Call, Message
from stages.posttraining.files import Unread
from stages.posttraining.loaders import Loaded, load

ASKED, SAID = Message("user", "Hi"), Message("assistant", "Hello")


def told(value: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": value}


def openai(name: str, arguments: Any, identity: str = "a") -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize(
    ("row", "shape", "messages"),
    [
        ({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}, "messages", (ASKED, SAID)),
        ({"conversation": [{"role": "human", "content": "Hi"}, {"role": "model", "content": "Hello"}]}, "messages", (ASKED, SAID)),
        ({"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]}, "sharegpt", (ASKED, SAID)),
        ({"conversations": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}, "sharegpt", (ASKED, SAID)),
        ({"instruction": "Hi", "output": "Hello"}, "alpaca", (ASKED, SAID)),
        ({"instruction": "Hi", "input": "", "output": "Hello"}, "alpaca", (ASKED, SAID)),
        ({"instruction": "Add", "input": "1, 2", "output": "3"}, "alpaca", (Message("user", "Add\n\n1, 2"), Message("assistant", "3"))),
        ({"instruction": "Hi", "response": "Hello", "system": "S"}, "alpaca", (Message("system", "S"), ASKED, SAID)),
        ({"instruction": "Hi", "output": "Hello", "history": [["Hi", "Hello"]]}, "alpaca", (ASKED, SAID, ASKED, SAID)),
        ({"prompt": "Hi", "completion": "Hello"}, "prompt_completion", (ASKED, SAID)),
        ({"prompt": "Hi", "response": "Hello", "score": 3}, "prompt_completion", (ASKED, SAID)),
        (
            {"prompt": [{"role": "user", "content": "Hi"}], "completion": [{"role": "assistant", "content": "Hello"}]},
            "prompt_completion", (ASKED, SAID),
        ),
        ({"question": "Hi", "answer": "Hello"}, "question_answer", (ASKED, SAID)),
        (
            {"question": "Q", "answer": "48/2 = <<48/2=24>>24 clips.\n#### 24"},
            "question_answer", (Message("user", "Q"), Message("assistant", "48/2 = 24 clips.\n#### 24")),
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "H"}, {"type": "text", "text": "i"}]},
                          {"role": "assistant", "content": "Hello"}]},
            "messages", (ASKED, SAID),
        ),
        (
            {"messages": [{"role": "developer", "content": "S"}, {"role": "user", "content": "Hi"},
                          {"role": "assistant", "content": "<think>\nhm\n</think>\n\nHello"}]},
            "messages", (Message("system", "S"), ASKED, Message("assistant", "Hello", "hm")),
        ),
        (
            {"messages": [{"role": "user", "content": "<think>x</think>"}, {"role": "assistant", "content": "Hello", "reasoning": "hm"}]},
            "messages", (Message("user", "<think>x</think>"), Message("assistant", "Hello", "hm")),
        ),
    ],
)  # fmt: skip
def test_a_row_of_a_common_shape_is_a_conversation(row: Any, shape: str, messages: tuple[Message, ...]) -> None:
    assert load(row) == Loaded(messages, shape)


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        (Unread("bad"), "unreadable", "bad"),
        ([1], "unrecognised", "the row is list; expected an object"),
        ({"text": "Once"}, "unrecognised", "the fields are text; expected messages; conversations; instruction and output"),
        ({"instruction": "Hi"}, "unrecognised", "the fields are instruction"),
        ({"prompt": "Hi", "chosen": "a", "rejected": "b"}, "preference", "two answers to compare, for preference methods such as DPO"),
        ({"instruction": "Hi", "output": "a", "chosen": "a", "rejected": "b"}, "preference", "two answers"),
        ({"conversations": [], "chosen": {}, "rejected": {}}, "preference", "two answers"),
        ({"messages": []}, "empty", "no messages"),
        ({"messages": "Hi"}, "unrecognised", "the messages are str"),
        ({"messages": ["Hi"]}, "unrecognised", "a message is str"),
        ({"instruction": "Hi", "output": " "}, "empty", "assistant says nothing"),
        ({"messages": [{"role": "narrator", "content": "Hi"}]}, "unknown_role", "'narrator'"),
        ({"messages": [{"content": "Hi"}]}, "unknown_role", "'None'"),
        ({"messages": [{"role": "user", "content": "Hi"}]}, "no_answer", "the assistant says nothing; expected a turn"),
        ({"messages": [{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}]}, "two_assistant_turns", "in a row"),
        ({"messages": [{"role": "user", "content": "Hi"}, {"role": "system", "content": "S"}]}, "system_not_first", "after user"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "not_text", "no text"),
        ({"messages": [{"role": "user", "content": {"a": 1}}]}, "not_text", "the content is dict"),
        ({"conversations": [{"from": "human", "value": "Hi"}, {"from": "observation", "value": "3"}]}, "result_without_call", "after user"),
        ({"conversations": [{"from": "human", "value": "Hi"}, {"from": "function_call", "value": "oops"}]}, "unreadable_call", "oops"),
        ({"messages": [told([openai("f", "[1]")])]}, "unreadable_call", "the arguments of f are"),
        ({"messages": [told([openai("no name", "{}")])]}, "unreadable_call", "'no name' has no name that Python can call"),
        ({"messages": [told([openai("f", "{}"), openai("g", "{}")])]}, "several_calls", "2 tools are called at once"),
        ({"messages": [{"role": "user", "content": "Hi"}], "tools": "{"}, "unreadable_call", "{"),
        ({"messages": [{"role": "user", "content": "Hi"}], "tools": [3]}, "unreadable_tools", "a tool is 3"),
        ({"instruction": "Hi", "output": "Hello", "history": ["Hi", "Hello"]}, "unrecognised", "history is no list of pairs"),
    ],
)  # fmt: skip
def test_any_other_row_has_a_reason(row: Any, reason: str, detail: str) -> None:
    found = load(row)
    assert found.reason == reason
    assert found.detail is not None
    assert detail in found.detail


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Hi"},
        {"question": "Hi"},
        {"instruction": "Hi"},
        {"prompt": [{"role": "user", "content": "Hi"}]},
        {"messages": [{"role": "user", "content": "Hi"}]},
        {"conversations": [{"from": "human", "value": "Hi"}]},
        {"prompt": "Hi", "completion": ""},
        {"instruction": "Hi", "output": " "},
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": ""}]},
    ],
)
def test_what_is_not_answered_is_a_conversation_where_prompts_are_enough(row: Any) -> None:
    assert load(row).reason in ("unrecognised", "no_answer", "empty")
    assert load(row, answered=False).messages == (ASKED,)
    assert load(row, answered=False).reason is None


def test_an_instruction_alone_has_its_input_and_what_was_said_before() -> None:
    row = {"instruction": "Shorten:", "input": "The owl flew.", "history": [["Hi", "Hello"]]}
    assert load(row, answered=False).messages == (ASKED, SAID, Message("user", "Shorten:\n\nThe owl flew."))


def test_what_would_have_been_read_is_told() -> None:
    assert "prompt or question alone" in str(load({"text": "Once"}, answered=False).detail)
    assert "alone" not in str(load({"text": "Once"}).detail)


def test_what_is_unsound_keeps_its_messages_to_be_looked_at() -> None:
    assert load({"messages": [{"role": "narrator", "content": "Once"}]}).messages == (Message("narrator", "Once"),)


@pytest.mark.parametrize(
    ("name", "arguments", "call"),
    [
        ("python", '{"code": "1+1"}', Call("python", "1+1")),
        ("python", "1+1", Call("python", "1+1")),
        ("search", {"query": "who"}, Call("search", "who")),
        ("area", '{"shape": "square", "sides": [7], "exact": true, "unit": null}',
         Call("python", "area(shape='square', sides=[7], exact=True, unit=None)")),
        ("now", "{}", Call("python", "now()")),
        ("api.get", '{"from": 1}', Call("python", "api.get(**{'from': 1})")),
        ("python", '{"a": 1, "b": 2}', Call("python", "python(a=1, b=2)")),
    ],
)  # fmt: skip
def test_a_call_of_any_function_is_an_expression_or_a_query(name: str, arguments: Any, call: Call) -> None:
    row = {"messages": [{"role": "user", "content": "Hi"}, told([openai(name, arguments)])]}
    assert load(row) == Loaded((ASKED, Message("assistant", "", None, call)), "messages")
    old = {
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "function_call": {"name": name, "arguments": arguments}},
        ]
    }
    assert load(old) == load(row)


def test_calls_at_once_become_one_after_the_other_each_with_its_own_result() -> None:
    row = {
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Let me see.", "tool_calls": [openai("f", "{}", "one"), openai("g", "{}", "two")]},
            {"role": "tool", "content": "of g", "tool_call_id": "two"},
            {"role": "tool", "content": "of f", "tool_call_id": "one"},
            {"role": "assistant", "content": "Hello"},
        ]
    }
    assert load(row).messages == (
        ASKED,
        Message("assistant", "Let me see.", None, Call("python", "f()")),
        Message("tool", "of f"),
        Message("assistant", "", None, Call("python", "g()")),
        Message("tool", "of g"),
        SAID,
    )


def test_sharegpt_with_tools_lists_them_and_joins_a_call_to_what_was_said_before_it() -> None:
    tools = [{"name": "find", "description": "Finds things", "parameters": {"type": "object", "properties": {"a": {}, "b": {}}}}]
    row = {
        "conversations": [
            {"from": "human", "value": "Hi"},
            {"from": "gpt", "value": "A moment."},
            {"from": "function_call", "value": '{"name": "find", "arguments": {"a": 1}}'},
            {"from": "observation", "value": "[2]"},
            {"from": "gpt", "value": "Hello"},
        ],
        "system": "Be brief.",
        "tools": json.dumps(tools),
    }
    assert load(row) == Loaded(
        (
            Message("system", "Be brief.\n\nYou can call these functions in Python:\nfind(a, b): Finds things"),
            ASKED,
            Message("assistant", "A moment.", None, Call("python", "find(a=1)")),
            Message("tool", "[2]"),
            SAID,
        ),
        "sharegpt",
    )
    listed = load(row | {"tools": [{"type": "function", "function": tools[0]}]})
    assert listed == load(row)
    assert load(row | {"tools": "[]"}).messages[0] == Message("system", "Be brief.")
