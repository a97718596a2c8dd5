"""`winnow serve`: the command as a person starts it, its official client, and how it stops."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from typer.testing import CliRunner

from flows.__main__ import app
from flows.commands.serve import named_models
from models.formats.gguf_file import About, write_gguf
from models.formats.pretrained import save_model
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.transformer import Transformer
from storage.problem import Problem
from storage.store import Store
from tests.flows.test_sample import artifact
from tests.models.serve.server import random_model, tokenizer, walks

ROOT = Path(__file__).parents[2]
CALLS = (
    ["<|im_sep|>", "<|python_start|>", "7", "<|python_end|>"],
    ["<|result_end|>", "owl", "<|im_end|>"],
)
ASKS: Any = [{"role": "user", "content": "What is it?"}]


def saved(folder: Path, tokens: Tokenizer, model: Transformer) -> Path:
    save_model(model, folder, start=tokens.start, stops=tokens.stops, pad=tokens.pad)
    tokens.save(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    tokens = tokenizer()
    place = tmp_path_factory.mktemp("models")
    return {
        "random": saved(place / "random", tokens, random_model(tokens.size)),
        "caller": saved(place / "caller", tokens, walks(tokens, *CALLS)),
    }


@contextmanager
def started(*arguments: str, **environment: str) -> Iterator[tuple[dict[str, Any], subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "flows", "serve", *arguments, "--port", "0", "--json"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environment
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline()), process
    finally:
        process.kill()
        process.wait()


def refused(*arguments: str) -> Problem:
    done = CliRunner().invoke(app, ["serve", *arguments])
    assert isinstance(done.exception, Problem), done.output
    return done.exception


@pytest.mark.slow
def test_two_models_are_served_with_tools_and_a_key_until_ctrl_c(folders: dict[str, Path]) -> None:
    models = [str(folders["random"]), f"talks={folders['caller']}"]
    with started(*models, "--tools", "python", "--max-tokens", "20", WINNOW_API_KEY="secret") as (said, process):
        assert [(one["id"], one["tools"], one["chat"]) for one in said["models"]] == [
            ("random", ["python"], True),
            ("talks", ["python"], True),
        ]
        with openai.OpenAI(base_url=f"{said['address']}/v1", api_key="secret", max_retries=0) as client:
            assert [one.id for one in client.models.list()] == ["random", "talks"]
            found = client.chat.completions.create(
                model="talks", messages=ASKS, temperature=0, tools=[{"type": "python"}], max_tokens=20
            )
            assert found.choices[0].message.content == "owl"
            assert client.completions.create(model="random", prompt="Hello", max_tokens=5).usage is not None
            with pytest.raises(openai.BadRequestError, match="allows 20"):
                client.completions.create(model="random", prompt="Hello", max_tokens=21)
        wrong = openai.OpenAI(base_url=f"{said['address']}/v1", api_key="wrong", max_retries=0)
        with wrong as client, pytest.raises(openai.AuthenticationError):
            client.models.list()
        asked: Any = {"model": "random", "prompt": "Hello", "max_tokens": 20, "extra_body": {"ignore_eos": True}, "stream": True}
        with openai.OpenAI(base_url=f"{said['address']}/v1", api_key="secret", max_retries=0) as client:
            client.completions.create(**asked, n=100)  # nobody reads it
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) in (0, 130)
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.slow
def test_a_gguf_file_answers_as_the_model_that_it_was_made_of(folders: dict[str, Path]) -> None:
    tokens, model = tokenizer(), random_model(tokenizer().size)
    path = folders["random"] / "same-F32.gguf"
    write_gguf(path, model, tokens, "F32", About("same"))
    with started(str(folders["random"]), str(path)) as (said, _):
        assert [one["id"] for one in said["models"]] == ["random", "same-F32"]
        with openai.OpenAI(base_url=f"{said['address']}/v1", api_key="none", max_retries=0) as client:
            answers = [
                client.completions.create(model=one["id"], prompt="Hello", max_tokens=20, seed=1).choices[0].text
                for one in said["models"]
            ]
    assert answers[0] == answers[1]


def test_models_are_called_by_what_was_given(folders: dict[str, Path]) -> None:
    random, caller = str(folders["random"]), str(folders["caller"])
    assert named_models([random, f"other={caller}"], "./store") == {"random": folders["random"], "other": folders["caller"]}
    with pytest.raises(Problem, match="two models are called random"):
        named_models([random, f"random={caller}"], "./store")
    with pytest.raises(Problem, match="there is no file"):
        named_models(["missing.gguf"], "./store")


def test_a_file_of_an_artifact_is_called_by_both(folders: dict[str, Path], tmp_path: Path) -> None:
    files = {"m-Q8_0.gguf": b"a file", "tokenizer.json": b"{}"}
    (tmp_path / "made").mkdir()
    for name, data in files.items():
        (tmp_path / "made" / name).write_bytes(data)
    store = str(tmp_path / "store")
    made = artifact(Store(store), tmp_path / "made", "quantize").reference
    [(name, path)] = named_models([f"{made}/m-Q8_0.gguf"], store).items()
    assert (name, path.read_bytes(), (path.parent / "tokenizer.json").read_bytes()) == ("m-Q8_0", *files.values())
    with pytest.raises(Problem, match=r"has no file m-Q4_0.gguf; its .gguf files: m-Q8_0.gguf"):
        named_models([f"{made}/m-Q4_0.gguf"], store)


def test_what_cannot_be_served_is_refused_with_the_reason(folders: dict[str, Path]) -> None:
    model = str(folders["random"])
    assert "lets others in" in str(refused(model, "--host", "0.0.0.0"))
    assert "expected python, search" in str(refused(model, "--tools", "browser"))
    assert "--context 9,999 is more than the 512" in str(refused(model, "--context", "9999", "--port", "0"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "cannot be had" in str(refused(model, "--port", str(taken.getsockname()[1])))
