"""What is not served, in the API's own error shape."""

import json
from typing import Any

import httpx
import openai
import pytest

from models.serve.limits import Limits
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.transformer import Transformer
from tests.models.serve.server import running, served

CHAT: dict[str, Any] = {"model": "random", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
TEXT: dict[str, Any] = {"model": "random", "prompt": "Hello", "max_tokens": 1}
USER = {"role": "user", "content": "Hello"}
CALL = {"type": "function", "function": {"name": "python", "arguments": "2"}}
WRONG: list[tuple[dict[str, Any], str | None, str]] = [
    (CHAT | {"temperature": 3}, "temperature", "less than or equal to 2"),
    (CHAT | {"temperature": "1"}, "temperature", "valid number"),
    (CHAT | {"temperature": None, "top_p": 0}, "top_p", "greater than 0"),
    (CHAT | {"top_k": 1 << 70}, "top_k", "less than or equal to"),
    (CHAT | {"repetition_penalty": 1e-40}, "repetition_penalty", "greater than or equal to"),
    (
        CHAT | {"tools": [{"type": "function", "function": {"name": "search", "parameters": "x"}}]},
        "tools.0",
        "parameters are no object",
    ),
    (CHAT | {"seed": 1.5}, "seed", "valid integer"),
    (CHAT | {"n": 0}, "n", "greater than or equal to 1"),
    (CHAT | {"n": True}, "n", "valid integer"),
    (CHAT | {"max_tokens": 0}, None, "at least 1"),
    (CHAT | {"max_tokens": -1}, "max_tokens", "greater than or equal to 0"),
    (CHAT | {"typo": 1}, "typo", "unknown parameter"),
    (CHAT | {"top_logprobs": 2}, None, "logprobs: true"),
    (CHAT | {"logprobs": True, "top_logprobs": 21}, "top_logprobs", "less than or equal to 20"),
    (CHAT | {"stop": ""}, "stop", "none of them empty"),
    (CHAT | {"stop": ["a"] * 17}, "stop", "at most 16"),
    (CHAT | {"stream": "yes"}, "stream", "valid boolean"),
    (CHAT | {"stream_options": {"include_usage": True}}, "stream_options", "stream: true"),
    (CHAT | {"presence_penalty": 0.5}, "presence_penalty", "not supported"),
    (CHAT | {"logit_bias": {"1": 5}}, "logit_bias", "not supported"),
    (CHAT | {"response_format": {"type": "json_object"}}, "response_format", "not supported"),
    (CHAT | {"tool_choice": "required"}, None, "the model chooses by itself"),
    (CHAT | {"tools": [{"type": "search"}]}, "tools", "runs no tools, not search"),
    (CHAT | {"tools": [{"type": "function", "function": {"name": "weather"}}]}, "tools.0", "python and search alone"),
    (CHAT | {"tools": [{"type": "function", "function": {"name": "search"}}] * 2}, "tools", "given twice"),
    (CHAT | {"messages": []}, "messages", "at least 1"),
    (CHAT | {"messages": "Hello"}, "messages", "valid array"),
    (CHAT | {"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role", "'user'"),
    (CHAT | {"messages": [{"role": "user", "content": ""}]}, "messages", "says nothing"),
    (CHAT | {"messages": [USER, {"role": "assistant", "content": "x"}]}, "messages", "the last one is the assistant's"),
    (CHAT | {"messages": [USER, {"role": "system", "content": "x"}]}, "messages", "expected it first"),
    (CHAT | {"messages": [USER, {"role": "tool", "content": "x"}]}, "messages", "expected a call right before it"),
    (CHAT | {"messages": [USER, {"role": "assistant", "tool_calls": [CALL, CALL]}]}, "messages", "two|2 tools"),
    (CHAT | {"messages": [USER, {"role": "assistant", "tool_calls": [{"id": "x"}]}]}, "messages", "function"),
    (CHAT | {"messages": [USER, {"role": "assistant", "tool_calls": [{"function": 5}]}]}, "messages", "tool_calls"),
    (
        CHAT
        | {
            "messages": [
                USER,
                {"role": "assistant", "tool_calls": [{"function": {"name": "python", "arguments": "[" * 100_000}}]},
                USER,
            ]
        },
        "messages",
        "expected its result",
    ),
    (CHAT | {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.content", "expected text alone"),
    (CHAT | {"messages": [{"role": "user", "content": "Hello " * 5000}]}, "messages", "context is 512 tokens"),
    (TEXT | {"prompt": []}, "prompt", "none of the lists empty"),
    (TEXT | {"prompt": [[]]}, "prompt", "none of the lists empty"),
    (TEXT | {"prompt": [1, "a"]}, "prompt", "expected a text"),
    (TEXT | {"prompt": {"a": 1}}, "prompt", "expected a text"),
    (TEXT | {"prompt": [1, 999_999]}, "prompt", "the token 999999"),
    (TEXT | {"prompt": [1, -1]}, "prompt", "the token -1"),
    (TEXT | {"prompt": [5] * 512}, "prompt", "expected at most 511"),
    (TEXT | {"prompt": ["a"] * 200}, "n", "ask for fewer"),
    (TEXT | {"best_of": 2}, None, "best_of"),
    (TEXT | {"suffix": "end"}, "suffix", "not supported"),
    (TEXT | {"logprobs": 21}, "logprobs", "less than or equal to 20"),
    ({"prompt": "Hello"}, "model", "required"),
    ({"model": "random"}, None, "required"),
]


@pytest.mark.parametrize(("body", "param", "text"), WRONG)
def test_a_malformed_request_is_told_what_is_wrong_with_it(
    address: str, body: dict[str, Any], param: str | None, text: str
) -> None:
    path = "chat/completions" if "messages" in body else "completions"
    answer = httpx.post(f"{address}/v1/{path}", json=body)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert sorted(error) == ["code", "message", "param", "type"]
    assert error["type"] == "invalid_request_error"
    assert any(one in error["message"] for one in text.split("|")), error
    assert param is None or error["param"] == param
    assert len(error["message"]) < 500


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (b"[1]", "the body"),
        (b'{"model": "random", "prompt": "\xff"}', "not JSON"),
        (b'{"model": "random", "prompt": "\\ud800"}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"model": "random", "prompt": "a", "temperature": NaN}', "temperature"),
    ],
)
def test_a_body_that_is_no_object_of_json_is_refused(address: str, body: bytes, text: str) -> None:
    answer = httpx.post(f"{address}/v1/completions", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert text in answer.json()["error"]["message"]


def test_other_addresses_methods_and_types_are_refused_in_the_same_shape(address: str) -> None:
    for answer, status, code in (
        (httpx.get(f"{address}/v1/embeddings"), 404, "unknown_url"),
        (httpx.get(f"{address}/v1/completions"), 405, None),
        (httpx.post(f"{address}/v1/completions", content=b"{}", headers={"content-type": "text/plain"}), 415, None),
        (httpx.get(f"{address}/v1/models/nobody"), 404, "model_not_found"),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_the_official_client_raises_its_own_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(**CHAT | {"model": "other"})
    assert missing.value.code == "model_not_found"
    assert "expected one of random" in missing.value.message
    with pytest.raises(openai.BadRequestError, match="temperature"):
        client.completions.create(**TEXT | {"temperature": 9})


def test_more_bytes_or_tokens_than_the_server_allows_are_refused(tokenizer: Tokenizer, model: Transformer) -> None:
    limits = Limits(body=5000, tokens=10, choices=3)
    with running([served("random", tokenizer, model)], limits) as address:

        def error(body: dict[str, Any]) -> tuple[int, str]:
            answer = httpx.post(f"{address}/v1/completions", json=body)
            return answer.status_code, answer.json()["error"]["message"]

        assert error(TEXT | {"prompt": "a" * 20_000_000})[0] == 413
        status, text = error(TEXT | {"max_tokens": 11})
        assert (status, "this server allows 10" in text) == (400, True)
        assert error(TEXT | {"n": 4})[0] == 400
        whole = httpx.post(f"{address}/v1/completions", json=TEXT | {"max_tokens": 10, "n": 3}).json()
        assert len(whole["choices"]) == 3
        chat = httpx.post(f"{address}/v1/chat/completions", json=CHAT | {"max_tokens": None, "ignore_eos": True}).json()
        assert chat["usage"]["completion_tokens"] == 10, "no more than allowed where no number is given"


def test_a_body_that_never_comes_is_given_up(tokenizer: Tokenizer, model: Transformer) -> None:
    with running([served("random", tokenizer, model)], Limits(seconds=0.05)) as address:

        def slowly() -> Any:
            yield b'{"model": '
            import time

            time.sleep(0.5)
            yield b'"random", "prompt": "a"}'

        answer = httpx.post(f"{address}/v1/completions", content=slowly(), headers={"content-type": "application/json"})
        assert answer.status_code == 408
        assert "did not arrive" in json.loads(answer.text)["error"]["message"]
