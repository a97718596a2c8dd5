"""The job is killed for real, at any moment, and ends as if it had not been: the same losses, samples and weights, to the byte."""

import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from stages.pretraining.pretrain import PRETRAIN, PretrainConfig
from stages.stage import Input
from storage.problem import Problem
from tests.stages.killed import outputs
from tests.stages.pretraining.packed import world

TINY = {"width": 32, "layers": 2, "heads": 2, "kv_heads": 1, "head_width": 16, "hidden": 64}
SHAPES: dict[str, dict[str, Any]] = {
    "dense": TINY,
    "mixture": TINY | {"experts": {"count": 4, "active": 2, "hidden": 32, "balance": 0.01}},
    "gpt2": TINY | {"kv_heads": 2, "family": "gpt2"},
}


STEPS = 160
"""Many more than the kills take: on a busy machine a job is well past its step when the signal comes."""


def config(kind: str, **given: Any) -> PretrainConfig:
    settings = {
        "steps": STEPS,
        "rows": 6,
        "validation_every": 20,
        "samples_every": 20,
        "sample_tokens": 12,
        "prompts": ["Ada sees"],
    }
    return PretrainConfig(shape=SHAPES[kind], **(settings | given))


def pretrain(inputs: dict[str, Input], out: Path, settings: PretrainConfig, **compute: Any) -> dict[str, Any]:
    out.mkdir(exist_ok=True)
    told = {name: str(value).lower() for name, value in ({"threads": 1, "checkpoint_seconds": 0} | compute).items()}
    found: dict[str, Any] = PRETRAIN.run({**inputs, "compute": told}, out, settings)
    return found


def newest(out: Path) -> int:
    """Step of the newest checkpoint; -1 where there is none."""
    return max((int(path.name[5:14]) for path in (out / ".checkpoints").glob("step-*.pt")), default=-1)


def kill_at(out: Path, step: int, pause: float, rank: int, over: threading.Event, hit: list[int]) -> None:
    """Once there is a checkpoint of `step` or later, and `pause` seconds later: SIGKILL."""
    stale = {path.name for path in (out / ".checkpoints").glob("step-*.pt")}
    while not over.is_set():
        fresh = {path.name for path in (out / ".checkpoints").glob("step-*.pt")} - stale
        if any(int(name[5:14]) >= step for name in fresh):
            time.sleep(pause)
            os.kill(int((out / f".job/pid-{rank}").read_text()), signal.SIGKILL)
            hit.append(newest(out))
            return
        time.sleep(0.001)


def kill_while_writing(out: Path, over: threading.Event) -> None:
    """SIGKILL as soon as there is half a checkpoint."""
    while not over.is_set():
        if any((out / ".checkpoints").glob(".partial-*")):
            os.kill(int((out / ".job/pid-0").read_text()), signal.SIGKILL)
            return


def killed_often(
    inputs: dict[str, Input],
    out: Path,
    settings: PretrainConfig,
    draw: random.Random,
    kills: int,
    between: Callable[[], None] = lambda: None,
    **compute: Any,
) -> list[int]:
    """Run it until it ends although it is killed; the newest checkpoint at each death."""
    hit: list[int] = []
    for number in range(kills):
        # At whatever step it is after the next checkpoint, in whatever it does then: a step, a checkpoint, a validation.
        at = newest(out) + 5 + draw.randrange(8)  # a second one at least, for the one that is cut short
        over = threading.Event()
        given = (out, at, draw.random() * 0.05, draw.randrange(compute.get("processes", 1)), over, hit)
        killer = threading.Thread(target=kill_at, args=given)
        killer.start()
        try:
            with pytest.raises(Problem, match="SIGKILL"):
                pretrain(inputs, out, settings, **compute)
        finally:
            over.set()
            killer.join()
        if number == 0:
            between()
    pretrain(inputs, out, settings, **compute)
    return hit


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "dtype"), [("dense", "bf16"), ("mixture", "fp32"), ("gpt2", "fp32")])
def test_a_job_that_is_killed_at_any_moment_ends_as_one_that_is_not(tmp_path: Path, kind: str, dtype: str) -> None:
    inputs = world(tmp_path)
    settings = config(kind, dtype=dtype)
    pretrain(inputs, tmp_path / "whole", settings)
    out = tmp_path / "killed"

    def cut_short() -> None:
        path = max((out / ".checkpoints").glob("step-*.pt"))
        path.write_bytes(path.read_bytes()[:-1000])

    hit = killed_often(inputs, out, settings, random.Random(kind), 4, cut_short, checkpoint_steps=2, micro_rows=0)
    assert len(hit) == 4
    assert outputs(out) == outputs(tmp_path / "whole")
    events = [json.loads(line) for line in (out / ".progress.jsonl").read_text().splitlines()]
    said = [event["text"] for event in events if "text" in event and "total" not in event]
    assert sum("is damaged" in text for text in said) == 1
    assert sum("goes on from step" in text for text in said) == 4
    steps = pl.read_parquet(out / "metrics.parquet")["step"].to_list()
    assert steps == list(range(STEPS + 1))


@pytest.mark.slow
def test_a_job_that_is_killed_while_it_writes_a_checkpoint_goes_on_from_the_one_before(tmp_path: Path) -> None:
    inputs = world(tmp_path)
    settings = config("dense", dtype="fp32", steps=200)
    pretrain(inputs, tmp_path / "whole", settings)
    out = tmp_path / "killed"
    pretrain(inputs, out, config("dense", dtype="fp32", steps=1))  # so that there is a folder to look into
    for path in (out / ".checkpoints").iterdir():
        path.unlink()
    left: list[bool] = []
    while not any(left) and len(left) < 5:
        over = threading.Event()
        killer = threading.Thread(target=kill_while_writing, args=(out, over))
        killer.start()
        try:
            with pytest.raises(Problem, match="SIGKILL"):
                pretrain(inputs, out, settings, checkpoint_steps=3)
        finally:
            over.set()
            killer.join()
        left.append(any((out / ".checkpoints").glob(".partial-*")))
    assert any(left)
    pretrain(inputs, out, settings)
    assert outputs(out) == outputs(tmp_path / "whole")
    assert not any((out / ".checkpoints").glob(".partial-*"))


@pytest.mark.slow
def test_two_processes_of_which_either_is_killed_end_as_two_that_are_not(tmp_path: Path) -> None:
    inputs = world(tmp_path)
    settings = config("dense", dtype="fp32")
    pretrain(inputs, tmp_path / "whole", settings, processes=2)
    out = tmp_path / "killed"
    hit = killed_often(inputs, out, settings, random.Random(0), 2, processes=2, checkpoint_steps=2)
    assert len(hit) == 2
    assert outputs(out) == outputs(tmp_path / "whole")
