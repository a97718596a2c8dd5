"""`winnow bench generate` on the smallest preset: every method runs, writes the same text, and is counted."""

import json

import pytest
import torch
from typer.testing import CliRunner

from flows.__main__ import app
from storage.problem import Problem


def called(*arguments: str) -> str:
    threads = torch.get_num_threads()
    try:
        done = CliRunner().invoke(app, ["bench", "generate", "--preset", "demo", *arguments])
    finally:
        torch.set_num_threads(threads)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("options", [[], ["--no-qk-norm"], ["--dtype", "bfloat16"]])
def test_every_method_is_measured_on_the_same_prompts(options: list[str]) -> None:
    pytest.importorskip("transformers")
    sizes = ["--batch", "1", "--batch", "3", "--prompt-tokens", "9", "--new-tokens", "6", "--rounds", "2"]
    found = json.loads(called(*sizes, "--no-cache", "--json", *options).splitlines()[-1])
    assert [(one["method"], one["batch"]) for one in found["methods"]] == [
        (method, batch) for batch in (1, 3) for method in ("winnow", "huggingface", "no cache")
    ]
    exact = "bfloat16" not in options
    for one in found["methods"]:
        assert one["tokens_per_cpu_second"] > 0
        assert one["ratio"] > 0
        assert one["same_tokens"] == 1.0 if exact else one["same_tokens"] > 0.3


def test_the_table_names_each_method() -> None:
    pytest.importorskip("transformers")
    out = called("--batch", "2", "--prompt-tokens", "4", "--new-tokens", "3", "--rounds", "1")
    assert "demo, float32, 1 thread, 4 + 3 tokens" in out
    assert [line.split()[0] for line in out.splitlines()[2:]] == ["winnow", "huggingface"]


@pytest.mark.parametrize(
    ("options", "message"), [(["--dtype", "int4"], "--dtype int4"), (["--new-tokens", "250"], "64 [+] 250 tokens do not fit")]
)
def test_what_cannot_be_measured_is_refused(options: list[str], message: str) -> None:
    with pytest.raises(Problem, match=message):
        called(*options)
