"""`winnow bench serve` on the smallest preset: every method that is there runs, and is counted."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.__main__ import app
from storage.problem import Problem


def called(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["bench", "serve", "--preset", "demo", *arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.slow
def test_every_method_is_measured_at_each_number_of_streams() -> None:
    sizes = ["--streams", "1", "--streams", "3", "--prompt-tokens", "9", "--new-tokens", "6", "--rounds", "1"]
    found = json.loads(called(*sizes, "--json").splitlines()[-1])
    methods = {one["method"] for one in found["methods"]}
    assert "winnow" in methods
    assert find_spec("cyllama") is None or "llama.cpp" in methods
    assert [one["streams"] for one in found["methods"] if one["method"] == "winnow"] == [1, 3]
    for one in found["methods"]:
        assert one["tokens_per_second"] > 0
        assert one["tokens_per_cpu_second"] > 0
        assert one["first_token_ms"] > 0


def test_what_cannot_be_measured_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="314 tokens do not fit"):
        called("--new-tokens", "250")
    with pytest.raises(Problem, match="is no program"):
        called("--llama-server", str(tmp_path / "missing"))
