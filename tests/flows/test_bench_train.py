"""`winnow bench train`, over tiny rows: all methods train the same model, and what is measured is told."""

import json
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from flows.__main__ import app
from flows.commands.bench.learners import dressed, learners
from models.transformer.counting import parameters
from models.transformer.presets import PRESETS, preset
from models.transformer.shape import Shape
from storage.problem import Problem

pytest.importorskip("transformers")

TINY = ["bench", "train", "--vocab", "61", "--context", "24", "--rows", "2", "--steps", "2", "--rounds", "2"]
SHAPES: dict[str, Shape] = {
    "qwen3": preset("demo", vocab=61, context=24),
    "llama": preset("demo", vocab=61, context=24),
    "gpt2": preset("demo", vocab=61, context=24),
    "qwen3_moe": preset("small-moe", vocab=61, context=24),
}


@pytest.mark.parametrize("architecture", SHAPES)
def test_all_methods_take_the_same_steps(architecture: str) -> None:
    """The same weights on the same tokens: the losses of every step agree, so the gradients and updates do."""
    batches = torch.randint(0, 61, (4, 2, 25), generator=torch.Generator().manual_seed(0))
    shape = dressed(SHAPES[architecture], architecture)
    losses = {
        name: [float(step(batch)) for batch in batches]
        for name, step in learners(shape, architecture, torch.float32, "cpu", False)
    }
    assert list(losses) == [*(["nanoGPT-like"] if architecture == "gpt2" else []), "huggingface", "winnow"]
    # Hugging Face shows a mixture's balance loss as part of its loss; ours does not.
    near = 0.01 if architecture == "qwen3_moe" else 2e-3
    for name, values in losses.items():
        assert values == pytest.approx(losses["winnow"], abs=near), name
    assert len({round(value, 3) for value in losses["winnow"]}) == 4


def test_a_dressed_shape_has_as_many_numbers() -> None:
    gpt2 = parameters(dressed(PRESETS["small"], "gpt2"))
    assert gpt2.total == pytest.approx(parameters(PRESETS["small"]).total, rel=0.1)
    assert not dressed(PRESETS["small"], "llama").qk_norm
    assert dressed(PRESETS["gpt2-124m"], "gpt2") == PRESETS["gpt2-124m"]


def run(*given: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*TINY, *given, "--json"])
    assert done.exit_code == 0, done.output
    document: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return document


def test_every_architecture_and_type_is_measured() -> None:
    document = run("--preset", "demo")
    assert (document["preset"], document["vocab"], document["context"], document["threads"]) == ("demo", 61, 24, 1)
    rows = document["methods"]
    assert [(row["architecture"], row["dtype"], row["method"]) for row in rows] == [
        (architecture, dtype, method)
        for dtype in ("float32", "bfloat16")
        for architecture, methods in (
            ("qwen3", ("winnow", "huggingface")),
            ("llama", ("winnow", "huggingface")),
            ("gpt2", ("winnow", "huggingface", "nanoGPT-like")),
        )
        for method in methods
    ]
    for row in rows:
        assert row["tokens_per_cpu_second"] > 0
        assert row["tokens_per_second"] > 0
        assert row["first_step_seconds"] > 0
        assert row["last_loss"] < row["first_loss"]
        assert (row["ratio"] == 1) == (row["method"] == "winnow")
        assert row["mfu"] is None


def test_the_table_names_the_machine_and_every_method() -> None:
    done = CliRunner().invoke(app, [*TINY, "--preset", "demo", "--architecture", "gpt2", "--dtype", "float32"])
    assert done.exit_code == 0, done.output
    assert "demo, vocabulary 61, 2 x 24 tokens a step, 1 thread, cpu" in done.stdout
    assert all(word in done.stdout for word in ("winnow", "huggingface", "nanoGPT-like", "first step"))


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        (
            ["--preset", "demo", "--architecture", "bert"],
            "--architecture bert: expected one of qwen3, llama, gpt2, of preset demo",
        ),
        (["--preset", "gpt2-124m", "--architecture", "llama"], "--architecture llama: expected one of gpt2, of preset gpt2-124m"),
        (["--dtype", "int8"], "--dtype int8: expected one of float32, bfloat16"),
        (["--device", "tpu"], "--device tpu: expected cpu"),
    ],
)
def test_what_cannot_be_measured_is_refused(given: list[str], refused: str) -> None:
    done = CliRunner().invoke(app, [*TINY, *given])
    assert isinstance(done.exception, Problem)
    assert str(done.exception).startswith(refused)
