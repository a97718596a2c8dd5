"""Who is answered."""

import httpx
import openai
import pytest

from models.tokenizer.tokenizer import Tokenizer
from models.transformer.transformer import Transformer
from tests.models.serve.server import running, served


def test_without_a_key_loopback_names_alone_are_answered(address: str) -> None:
    port = address.rpartition(":")[2]
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", "[::1]"):
        assert httpx.get(f"{address}/v1/models", headers={"host": host}).status_code == 200
    for host in ("evil.example", f"127.0.0.1.evil.example:{port}", "[::2]", ""):
        answer = httpx.get(f"{address}/v1/models", headers={"host": host})
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "forbidden"


def test_pages_from_elsewhere_may_not_ask(address: str) -> None:
    host = address.removeprefix("http://")
    body = {"model": "random", "prompt": "Hello", "max_tokens": 1}
    for origin, status in ((f"http://{host}", 200), ("http://evil.example", 403), ("null", 403), ("http://[", 403)):
        assert httpx.post(f"{address}/v1/completions", json=body, headers={"origin": origin}).status_code == status


def test_with_a_key_the_interface_asks_for_it_under_any_name(tokenizer: Tokenizer, model: Transformer) -> None:
    with running([served("random", tokenizer, model)], key="schlüssel") as address:
        for given in ({}, {"authorization": "Bearer wrong"}, {"authorization": b"Bearer schl\xfcssel"}):
            answer = httpx.get(f"{address}/v1/models", headers=given)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
        bearer = "Bearer schlüssel".encode()
        assert httpx.get(f"{address}/v1/models", headers={"authorization": bearer, "host": "model.example"}).status_code == 200
        for path in ("/", "/health"):
            assert httpx.get(f"{address}{path}", headers={"host": "model.example"}).status_code == 200
        with openai.OpenAI(base_url=f"{address}/v1", api_key="wrong") as client, pytest.raises(openai.AuthenticationError):
            client.models.list()


def test_every_answer_forbids_to_be_framed_guessed_and_kept(address: str) -> None:
    for path in ("/", "/v1/models", "/v1/nothing"):
        headers = httpx.get(f"{address}{path}").headers
        assert (headers["x-frame-options"], headers["x-content-type-options"], headers["cache-control"]) == (
            "DENY",
            "nosniff",
            "no-store",
        )
