"""The loop: a step is the same however it is cut up, a run that was interrupted ends as one that was not, and wrong losses stop it."""

import json
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from models.transformer.checkpoint import Checkpoints
from models.transformer.loss import cross_entropy
from models.transformer.optimizer import optimizers
from models.transformer.schedule import Schedule
from models.transformer.shape import Experts, Shape
from models.transformer.train import Loss, Plan, Row, Watcher, train
from models.transformer.transformer import Transformer
from models.transformer.world import World, alone, joined
from models.unusable import Unusable

SHAPES = {
    "dense": Shape(vocab=61, width=32, layers=2, heads=4, kv_heads=2, head_width=8, hidden=48, context=32),
    "mixture": Shape(
        vocab=61, width=32, layers=2, heads=4, kv_heads=2, head_width=8, hidden=48, context=32,
        experts=Experts(count=4, active=2, hidden=24, balance=0.1),
    ),
    "gpt2": Shape(
        vocab=61, width=32, layers=2, heads=4, kv_heads=4, head_width=8, hidden=64, context=32, family="gpt2", qk_norm=False
    ),
}  # fmt: skip
ROWS = 8


class Counting:
    """Rows that count upwards, some of them padded; a step is ROWS of them, `micro` at a time."""

    def __init__(self, micro: int, world: World, broken: Callable[[int], float] = lambda step: 1.0) -> None:
        self.micro, self.world, self.broken = micro, world, broken
        self.drawn = 0
        self.seen: list[float] = []

    def batches(self, step: int) -> Sequence[torch.Tensor]:
        draw = torch.Generator().manual_seed(step)
        start = torch.randint(0, 61, (ROWS, 1), generator=draw)
        rows = (start + torch.arange(33) * torch.randint(1, 3, (ROWS, 1), generator=draw)) % 61
        for row in range(ROWS):
            rows[row, 33 - 3 * row :] = -1  # so that micro-batches hold unequal numbers of targets
        self.step = step
        self.drawn += ROWS
        mine = rows[ROWS * self.world.rank // self.world.size : ROWS * (self.world.rank + 1) // self.world.size]
        return list(mine.split(self.micro))

    def loss(self, model: nn.Module, rows: torch.Tensor) -> Loss:
        assert isinstance(model, Transformer)
        noise = torch.rand(()) + np.random.random() + random.random()  # the global generators are part of what is resumed
        self.seen.append(float(noise))
        total, count = cross_entropy(model.hidden(rows[:, :-1].clamp_min(0)), model.output_weight, rows[:, 1:])
        even = (rows[:, 1:] % 2 == 0) & (rows[:, 1:] >= 0)
        return Loss(total * self.broken(self.step), count, model.balance(), {"even": (even.sum(), count)})

    def observe(self, step: int, seconds: float) -> Row:
        return {} if step % 5 else {"checked": float(step), "noise": sum(self.seen)}

    def state(self) -> dict[str, Any]:
        return {"drawn": self.drawn, "seen": self.seen}

    def restore(self, state: dict[str, Any]) -> None:
        self.drawn, self.seen = state["drawn"], list(state["seen"])


def run(
    folder: Path,
    kind: str = "dense",
    micro: int = ROWS,
    world: World | None = None,
    steps: int = 6,
    optimizer: Any = "muon",
    plan: dict[str, Any] | None = None,
    broken: Callable[[int], float] = lambda step: 1.0,
    said: list[str] | None = None,
    **cadence: Any,
) -> tuple[list[Row], dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    world = world or alone("cpu")
    model = Transformer(SHAPES[kind])
    rows = train(
        model,
        Counting(micro, world, broken),
        optimizers(model, optimizer, compute=torch.float32),
        Plan(Schedule(steps, warmup=0.2), **(plan or {})),
        world,
        Checkpoints(folder, {"shape": kind}, **cadence),
        Watcher(say=(said if said is not None else []).append),
    )
    return rows, model.state_dict()


def without_clock(rows: list[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name != "tokens_per_second"} for row in rows]


@pytest.mark.parametrize("kind", SHAPES)
def test_eight_rows_at_once_and_one_by_one_are_the_same_step(tmp_path: Path, kind: str) -> None:
    # SGD's weights are the gradients themselves; Muon and AdamW would magnify the rounding of tiny ones.
    def grads(micro: int) -> tuple[list[Row], dict[str, torch.Tensor]]:
        torch.manual_seed(0)
        model = Transformer(SHAPES[kind])
        rows = train(
            model, Counting(micro, alone("cpu")), [torch.optim.SGD(model.parameters(), lr=1.0)], Plan(Schedule(3), clip=0.5),
            alone("cpu"), Checkpoints(tmp_path / str(micro), {}), Watcher(),
        )  # fmt: skip
        return rows, model.state_dict()

    at_once, one_by_one = grads(8), grads(1)
    for name, weight in at_once[1].items():
        torch.testing.assert_close(one_by_one[1][name], weight, rtol=1e-5, atol=2e-7)
    for whole, pieces in zip(at_once[0], one_by_one[0], strict=True):
        assert pieces.keys() == whole.keys()
        assert all(
            pieces[name] == pytest.approx(whole[name], rel=1e-5)
            for name in ("loss", "grad_norm", "tokens", "even")
            if name in whole
        )


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_an_interrupted_run_ends_as_one_that_was_not(tmp_path: Path, kind: str, optimizer: str) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(step: int) -> float:
        if step == 4:
            raise Interrupted
        return 1.0

    whole = run(tmp_path / "whole", kind, micro=3, optimizer=optimizer)
    said: list[str] = []
    with pytest.raises(Interrupted):
        run(tmp_path / "cut", kind, micro=3, optimizer=optimizer, broken=interrupt, every_steps=3)
    resumed = run(tmp_path / "cut", kind, micro=3, optimizer=optimizer, said=said)
    assert said == ["goes on from step 3"]
    assert without_clock(resumed[0]) == without_clock(whole[0])
    assert all(torch.equal(resumed[1][name], weight) for name, weight in whole[1].items())
