"""POST /v1/chat/completions through the official client, on models of which is known what they say."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pytest

from models.chat.conversation import USER, Message
from models.chat.renderer import prompt
from models.chat.tools.python import Python, python_tool
from models.serve.served import Served
from models.tokenizer.reserved import PYTHON, PYTHON_END, RESULT_END, SEPARATOR, THINK, THINK_END, TURN_END
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.generate import Request, generate
from models.transformer.transformer import Transformer
from tests.models.serve.server import running, served, walks

ASKS: Any = [{"role": "user", "content": "What is it?"}]
CALLS = ([SEPARATOR, PYTHON, "7", PYTHON_END], [RESULT_END, THINK, "moon", THINK_END, "owl", TURN_END])


@contextmanager
def serving(*models: Served) -> Iterator[openai.OpenAI]:
    with running(models) as address, openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def caller(tokenizer: Tokenizer) -> Iterator[openai.OpenAI]:
    """Calls python, thinks, answers; its server runs python."""
    with Python() as python, serving(served("caller", tokenizer, walks(tokenizer, *CALLS), [python_tool(python)])) as client:
        yield client


def test_an_answer_is_what_the_engine_writes_behind_the_rendered_conversation(
    client: openai.OpenAI, tokenizer: Tokenizer, model: Transformer
) -> None:
    begin = prompt([Message(USER, "What is it?")], tokenizer)
    [expected] = generate(model, [Request(begin, 10, stops=tokenizer.stops, seed=8, top_logprobs=2)])
    found = client.chat.completions.create(
        model="random", messages=ASKS, max_completion_tokens=10, seed=8, logprobs=True, top_logprobs=2
    )
    [choice] = found.choices
    assert choice.logprobs is not None
    content = choice.logprobs.content or []
    assert [one.id for one in content] == expected.tokens
    assert [one.logprob for one in content] == pytest.approx(expected.logprobs, abs=1e-5)
    tops = [[(top.id, round(top.logprob, 4)) for top in one.top_logprobs] for one in content]
    assert tops == [[(token, round(value, 4)) for token, value in best] for best in expected.top_logprobs]
    assert bytes(part for one in content for part in one.bytes or ()).decode(errors="replace") == choice.message.content
    assert found.usage is not None
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (len(begin), len(expected.tokens))


def test_what_is_streamed_is_the_answer(client: openai.OpenAI) -> None:
    asked: Any = {"model": "random", "messages": ASKS, "max_tokens": 30, "seed": 2, "n": 2, "logprobs": True, "top_logprobs": 1}
    whole = client.chat.completions.create(**asked)
    chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert chunks.pop().usage == whole.usage
    for choice in whole.choices:
        parts = [chunk.choices[0] for chunk in chunks if chunk.choices[0].index == choice.index]
        assert parts[0].delta.role == "assistant"
        assert "".join(part.delta.content or "" for part in parts) == choice.message.content
        assert parts[-1].finish_reason == choice.finish_reason
        assert parts[-1].messages == choice.messages
        scored = [one for part in parts if part.logprobs for one in part.logprobs.content or []]
        assert choice.logprobs is not None
        assert scored == choice.logprobs.content


def test_a_tool_of_the_server_runs_while_the_model_writes(caller: openai.OpenAI) -> None:
    asked: Any = {"model": "caller", "messages": ASKS, "temperature": 0, "tools": [{"type": "python"}]}
    [choice] = caller.chat.completions.create(**asked).choices
    assert (choice.message.content, choice.finish_reason, choice.message.tool_calls) == ("owl", "stop", None)
    assert choice.message.reasoning_content == "moon"
    turn: Any = choice.messages
    assert [one["role"] for one in turn] == ["assistant", "tool", "assistant"]
    assert turn[0]["tool_calls"] == [{"type": "function", "function": {"name": "python", "arguments": "7"}}]
    assert (turn[1]["content"], turn[2]["content"], turn[2]["reasoning_content"]) == ("7", "owl", "moon")

    deltas = [chunk.choices[0].delta for chunk in caller.chat.completions.create(**asked, stream=True)]
    tools = [one.tool for one in deltas if getattr(one, "tool", None)]
    assert "".join(one.get("call", "") for one in tools) == "7"
    assert "".join(one.get("result", "") for one in tools) == "7"
    assert {one["name"] for one in tools} == {"python"}
    assert "".join(getattr(one, "reasoning_content", None) or "" for one in deltas) == "moon"

    again: Any = [*ASKS, *turn, *ASKS]
    assert caller.chat.completions.create(**asked | {"messages": again}).choices[0].message.content == "owl"


def test_a_tool_that_was_not_given_is_not_run(caller: openai.OpenAI) -> None:
    for more in ({}, {"tools": [{"type": "python"}], "tool_choice": "none"}):
        asked: Any = {"model": "caller", "messages": ASKS, "temperature": 0, **more}
        turn: Any = caller.chat.completions.create(**asked).choices[0].messages
        assert turn[1]["content"] == "error: there is no tool python in this conversation"


def test_a_function_is_called_by_the_client_and_the_turn_goes_on_with_its_result(caller: openai.OpenAI) -> None:
    function = {"name": "python", "parameters": {"type": "object", "properties": {"code": {"type": "string"}}}}
    asked: Any = {"model": "caller", "temperature": 0, "tools": [{"type": "function", "function": function}]}
    [choice] = caller.chat.completions.create(messages=ASKS, **asked).choices
    assert choice.finish_reason == "tool_calls"
    [call] = choice.message.tool_calls or []
    assert (call.type, call.function.name, json.loads(call.function.arguments)) == ("function", "python", {"code": "7"})

    streamed = [chunk.choices[0] for chunk in caller.chat.completions.create(messages=ASKS, **asked, stream=True)]
    assert streamed[-1].finish_reason == "tool_calls"
    assert [one.function.arguments for part in streamed for one in part.delta.tool_calls or []] == ['{"code": "7"}']

    result = {"role": "tool", "tool_call_id": call.id, "content": "49"}
    on = caller.chat.completions.create(messages=[*ASKS, choice.message, result], **asked)
    assert (on.choices[0].message.content, on.choices[0].finish_reason) == ("owl", "stop")


@pytest.mark.parametrize("said", ["", " "])
def test_a_call_of_nothing_is_no_call(tokenizer: Tokenizer, said: str) -> None:
    walk = [SEPARATOR, PYTHON, *([said] if said else []), PYTHON_END]
    with serving(served("says", tokenizer, walks(tokenizer, walk))) as client:
        asked: Any = {
            "model": "says",
            "temperature": 0,
            "max_tokens": 40,
            "tools": [{"type": "function", "function": {"name": "python"}}],
        }
        [choice] = client.chat.completions.create(messages=ASKS, **asked).choices
        assert (choice.finish_reason, choice.message.tool_calls) == ("stop", None)
        assert choice.messages == []  # type: ignore[attr-defined]


def test_what_breaks_in_the_middle_of_a_stream_is_told_in_it(caller: openai.OpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*given: Any) -> str:
        raise AttributeError

    monkeypatch.setattr("models.serve.chat.arguments", breaks)
    asked: Any = {"model": "caller", "temperature": 0, "tools": [{"type": "function", "function": {"name": "python"}}]}
    with pytest.raises(openai.APIError, match="the answer broke off"):
        list(caller.chat.completions.create(messages=ASKS, **asked, stream=True))
    # On a connection of its own, which the server closes behind it.
    with (
        openai.OpenAI(base_url=caller.base_url, api_key="none", max_retries=0) as alone,
        pytest.raises(openai.InternalServerError),
    ):
        alone.chat.completions.create(messages=ASKS, **asked)


def test_the_system_message_and_the_list_of_tools_come_first(caller: openai.OpenAI, tokenizer: Tokenizer) -> None:
    def read(messages: Any, **more: Any) -> int:
        usage = caller.chat.completions.create(model="caller", messages=messages, temperature=0, **more).usage
        assert usage is not None
        return usage.prompt_tokens

    listed = "python(expression): computes, as in 2 * 3, count('owl', 'w') or spell('owl')"
    for role in ("system", "developer"):
        parts = [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]
        found = read([{"role": role, "content": parts}, *ASKS], tools=[{"type": "python"}])
        whole = [Message("system", f"Be brief.\n\n{listed}"), Message(USER, "What is it?")]
        assert found == len(prompt(whole, tokenizer))
    assert read(ASKS) == len(prompt([Message(USER, "What is it?")], tokenizer))


def test_a_stop_string_ends_what_is_said_and_stands_nowhere(tokenizer: Tokenizer) -> None:
    walk = [SEPARATOR, "Hello", " there", ". The owl", TURN_END]
    with serving(served("says", tokenizer, walks(tokenizer, walk))) as client:
        asked: Any = {"model": "says", "messages": ASKS, "temperature": 0}
        assert client.chat.completions.create(**asked).choices[0].message.content == "Hello there. The owl"
        [choice] = client.chat.completions.create(**asked, stop=[". The", "owl"]).choices
        assert (choice.message.content, choice.finish_reason) == ("Hello there", "stop")
        assert choice.messages[0]["content"] == "Hello there"


def test_a_long_chat_loses_its_oldest_exchanges_only_where_that_is_wanted(tokenizer: Tokenizer) -> None:
    walk = [SEPARATOR, "Hello", TURN_END]
    long: Any = [*ASKS, {"role": "assistant", "content": "The owl. " * 40}, *ASKS]
    with serving(served("short", tokenizer, walks(tokenizer, walk, context=100))) as client:
        asked: Any = {"model": "short", "temperature": 0}
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(messages=long, **asked)
        assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "messages")
        kept = client.chat.completions.create(messages=long, **asked, extra_body={"truncation": "auto"})
        assert kept.choices[0].message.content == "Hello"
        assert kept.usage is not None
        assert kept.usage.prompt_tokens == len(prompt([Message(USER, "What is it?")], tokenizer))
        alone: Any = [{"role": "user", "content": "The owl. " * 60}]
        with pytest.raises(openai.BadRequestError, match="context is 100 tokens"):
            client.chat.completions.create(messages=alone, **asked, extra_body={"truncation": "auto"})


@pytest.mark.parametrize(
    ("said", "messages", "faults"),
    [
        ([[SEPARATOR, "Hello", PYTHON, "7"]], [("Hello", None)], [f"{PYTHON} has no end"]),
        ([[SEPARATOR, PYTHON, "7"]], [], [f"{PYTHON} has no end"]),
        ([[SEPARATOR, PYTHON, PYTHON_END], [RESULT_END, "Hello", TURN_END]], [("Hello", None)], []),
        ([[SEPARATOR, TURN_END]], [], []),
        ([[SEPARATOR, THINK, "moon"]], [("", "moon")], [f"{THINK} has no end"]),
    ],
)
def test_the_conversation_can_go_on_behind_whatever_a_turn_was(
    tokenizer: Tokenizer, said: list[list[str]], messages: list[tuple[str, str | None]], faults: list[str]
) -> None:
    length = (
        len(tokenizer.encode("Hello7moon")) + 40
        if len(said) > 1
        else sum(1 if part in tokenizer.special else len(tokenizer.encode(part)) for part in said[0][1:])
    )
    with serving(served("says", tokenizer, walks(tokenizer, *said))) as client:
        asked: Any = {"model": "says", "temperature": 0, "max_tokens": length}
        [choice] = client.chat.completions.create(messages=ASKS, **asked).choices
        turn: Any = choice.messages
        assert [(one["content"], one["reasoning_content"]) for one in turn] == messages
        assert choice.faults == faults  # type: ignore[attr-defined]
        again: Any = [*ASKS, *turn, *ASKS] if turn else ASKS
        client.chat.completions.create(messages=again, **asked)
