"""The loop: a step is the same however it is cut up, a run that was interrupted ends as one that was not, and wrong losses stop it."""

import contextlib
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from models.transformer.checkpoint import Checkpoints
from models.transformer.divergence import Diverged
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


def two_processes(folder: Path, kind: str) -> None:
    """What torchrun starts."""
    with joined("cpu") as world:
        torch.manual_seed(0)
        model = Transformer(SHAPES[kind])
        rows = train(
            model, Counting(2, world), [torch.optim.SGD(model.parameters(), lr=1.0)], Plan(Schedule(3), clip=0.5), world,
            Checkpoints(folder / "two", {}), Watcher(),
        )  # fmt: skip
        if world.rank == 0:
            torch.save((rows, model.state_dict()), folder / "two.pt")


@pytest.mark.slow
@pytest.mark.parametrize("kind", SHAPES)
def test_two_processes_make_the_same_steps_as_one(tmp_path: Path, kind: str) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1", "--nproc-per-node=2"]
    done = subprocess.run([*command, __file__, str(tmp_path), kind], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows, weights = torch.load(tmp_path / "two.pt", weights_only=True)
    torch.manual_seed(0)
    model = Transformer(SHAPES[kind])
    alone_rows = train(
        model, Counting(8, alone("cpu")), [torch.optim.SGD(model.parameters(), lr=1.0)], Plan(Schedule(3), clip=0.5), alone("cpu"),
        Checkpoints(tmp_path / "one", {}), Watcher(),
    )  # fmt: skip
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(weights[name], weight, rtol=1e-5, atol=2e-7)
    for one, two in zip(alone_rows, rows, strict=True):
        assert all(
            two[name] == pytest.approx(one[name], rel=1e-5) for name in ("loss", "grad_norm", "tokens", "even") if name in one
        )


def test_the_loss_is_per_supervised_token_of_the_global_step(tmp_path: Path) -> None:
    rows, _ = run(tmp_path, "dense", micro=3, steps=1, plan={"clip": 0.0})
    model = _fresh("dense")
    [batch] = Counting(ROWS, alone("cpu")).batches(0)
    total = torch.nn.functional.cross_entropy(
        model(batch[:, :-1].clamp_min(0)).flatten(0, 1), batch[:, 1:].flatten(), ignore_index=-1
    )
    total.backward()
    supervised = batch[:, 1:] >= 0
    norm = torch.linalg.vector_norm(
        torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None])
    )
    assert rows[1]["tokens"] == supervised.sum()
    assert rows[1]["loss"] == pytest.approx(total.item(), rel=1e-6)
    assert rows[1]["grad_norm"] == pytest.approx(norm.item(), rel=1e-5)
    assert rows[1]["even"] == pytest.approx(((batch[:, 1:] % 2 == 0) & supervised).sum().item() / supervised.sum().item())


def _fresh(kind: str) -> Transformer:
    torch.manual_seed(0)
    return Transformer(SHAPES[kind])


def test_the_balance_of_experts_moves_weights_and_is_no_part_of_the_loss(tmp_path: Path) -> None:
    def router(balance: float) -> tuple[float, torch.Tensor]:
        torch.manual_seed(0)
        experts = Experts(count=4, active=2, hidden=24, balance=balance)
        model = Transformer(
            Shape(vocab=61, width=32, layers=1, heads=4, kv_heads=2, head_width=8, hidden=48, context=32, experts=experts)
        )
        rows = train(
            model, Counting(4, alone("cpu")), [torch.optim.SGD(model.parameters(), lr=1.0)], Plan(Schedule(1)), alone("cpu"),
            Checkpoints(tmp_path / str(balance), {}), Watcher(),
        )  # fmt: skip
        return rows[1]["loss"], model.blocks[0].feed_forward.router.weight.detach()

    (loss, without), (same, with_balance) = router(0.0), router(1.0)
    assert loss == same
    assert not torch.equal(without, with_balance)


def test_gradients_are_held_to_their_largest_norm(tmp_path: Path) -> None:
    def moved(clip: float) -> tuple[float, float]:
        model = _fresh("dense")
        before = torch.cat([weight.detach().flatten() for weight in model.parameters()])
        rows = train(
            model, Counting(8, alone("cpu")), [torch.optim.SGD(model.parameters(), lr=1.0)],
            Plan(Schedule(1, warmup=0, decay=0), clip=clip), alone("cpu"), Checkpoints(tmp_path / str(clip), {}), Watcher(),
        )  # fmt: skip
        after = torch.cat([weight.detach().flatten() for weight in model.parameters()])
        return rows[1]["grad_norm"], float((after - before).norm())

    norm, far = moved(0.0)
    assert far == pytest.approx(norm, rel=1e-4)
    assert moved(norm / 10) == pytest.approx((norm, norm / 10), rel=1e-4)
    assert moved(norm * 10) == pytest.approx((norm, norm), rel=1e-4)


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_before_it_moves_a_weight(tmp_path: Path, factor: float) -> None:
    def broken(step: int) -> float:
        return factor if step == 5 else 1.0

    with pytest.raises(
        Unusable, match=r"step 6: the loss is (nan|inf)\. The last good checkpoint is .*step-000000004.*\(step 4\)\. Lower"
    ):
        run(tmp_path / "a", broken=broken, steps=8, every_steps=2)
    with pytest.raises(Unusable, match=r"step 6: .*no checkpoint: none was written yet"):
        run(tmp_path / "b", broken=broken, steps=8)


def test_a_spike_of_the_loss_stops_and_names_the_last_good_checkpoint(tmp_path: Path) -> None:
    def spike(step: int) -> float:
        return 3.0 if step == 20 else 1.0

    said = r"step 21: the loss is [\d.]+, where the median of the 20 steps before is [\d.]+; expected at most .* \(step 16\)"
    with pytest.raises(Unusable, match=said):
        run(tmp_path / "a", broken=spike, steps=30, plan={"spike": 2.0}, every_steps=16)
    assert len(run(tmp_path / "b", broken=spike, steps=30, plan={"spike": 0.0})[0]) == 31
    assert len(run(tmp_path / "c", broken=spike, steps=30, plan={"spike": 50.0})[0]) == 31


def test_a_step_without_supervised_tokens_is_an_error(tmp_path: Path) -> None:
    class Empty(Counting):
        def batches(self, step: int) -> Sequence[torch.Tensor]:
            return [torch.full_like(rows, -1) for rows in super().batches(step)]

    model = _fresh("dense")
    with pytest.raises(Unusable, match="step 1 has no supervised token"):
        train(
            model, Empty(8, alone("cpu")), optimizers(model), Plan(Schedule(1)), alone("cpu"), Checkpoints(tmp_path, {}), Watcher()
        )  # fmt: skip


def test_frozen_weights_stay_and_rates_are_those_of_their_group(tmp_path: Path) -> None:
    model = _fresh("dense")
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    for name, weight in model.named_parameters():
        weight.requires_grad_(name.startswith("blocks.1"))
    groups = [
        {"params": list(model.blocks[1].attention.parameters()), "lr": 1.0},
        {"params": list(model.blocks[1].feed_forward.parameters()), "lr": 0.0},
    ]
    schedule = Schedule(2, warmup=0, decay=1.0, floor=0.0)
    rows = train(
        model, Counting(8, alone("cpu")), [torch.optim.SGD(groups)], Plan(schedule), alone("cpu"), Checkpoints(tmp_path, {}), Watcher()
    )  # fmt: skip
    changed = {name for name, weight in model.state_dict().items() if not torch.equal(weight, before[name])}
    assert changed
    assert all(name.startswith("blocks.1.attention.") for name in changed)
    assert [row["lr"] for row in rows[1:]] == [1.0, 0.5]


def test_when_checkpoints_are_written_changes_nothing(tmp_path: Path) -> None:
    by_step, by_time, never = (
        run(tmp_path / name, "mixture", micro=3, **cadence)
        for name, cadence in {
            "a": {"every_steps": 1}, "b": {"every_seconds": 1e-9}, "c": {"every_seconds": 0},
        }.items()
    )  # fmt: skip
    assert without_clock(by_step[0]) == without_clock(by_time[0]) == without_clock(never[0])
    for name, weight in never[1].items():
        assert torch.equal(by_step[1][name], weight)
        assert torch.equal(by_time[1][name], weight)


def test_a_checkpoint_of_more_processes_is_gone_on_from_and_that_is_said(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")
    checkpoints = Checkpoints(tmp_path / "two", {"shape": "dense"})
    with pytest.raises(Diverged):
        run(tmp_path / "two", broken=lambda step: float("nan") if step == 3 else 1.0, every_steps=3)
    content = checkpoints.load(print)
    assert content is not None
    checkpoints.save(3, content | {"processes": content["processes"] * 2})
    said: list[str] = []
    resumed = run(tmp_path / "two", said=said)
    assert said == ["the checkpoint is of 2 processes, now there are 1: last bits will differ", "goes on from step 3"]
    assert without_clock(resumed[0]) == without_clock(whole[0])


def test_slow_checkpoints_are_written_more_rarely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def saved(cost: float) -> list[int]:
        """At which steps, where a step takes a second."""
        saves: list[int] = []

        def step(number: int) -> float:
            nonlocal now
            now += 1.0
            return 1.0

        def save(self: Checkpoints, step: int, content: Any) -> Path:
            nonlocal now
            now += cost
            saves.append(step)
            return self.folder

        with monkeypatch.context() as patched:
            patched.setattr(time, "monotonic", lambda: now)
            patched.setattr(Checkpoints, "save", save)
            run(tmp_path, steps=50, broken=step, every_seconds=1.0)
        return saves

    assert saved(cost=0.0) == list(range(1, 51))
    assert saved(cost=1.0) == [1, 21, 41, 50]


def test_whoever_watches_is_told_every_row_and_what_came_before_a_resume(tmp_path: Path) -> None:
    def watched(steps: int, stop: int) -> tuple[list[float], list[list[float]]]:
        rows: list[float] = []
        before: list[list[float]] = []

        def row(one: Row) -> None:
            rows.append(one["step"])
            if one["step"] == stop:
                raise KeyboardInterrupt

        model = _fresh("dense")
        watcher = Watcher(row=row, resumed=lambda old: before.append([one["step"] for one in old]))
        with contextlib.suppress(KeyboardInterrupt):
            train(
                model, Counting(8, alone("cpu")), optimizers(model), Plan(Schedule(steps)), alone("cpu"),
                Checkpoints(tmp_path, {}, every_steps=2), watcher,
            )  # fmt: skip
        return rows, before

    assert watched(6, stop=5) == ([0, 1, 2, 3, 4, 5], [])
    assert watched(6, stop=-1) == ([5, 6], [[0, 1, 2, 3, 4]])
    assert watched(6, stop=-1) == ([], [[0, 1, 2, 3, 4, 5, 6]])


if __name__ == "__main__":
    two_processes(Path(sys.argv[1]), sys.argv[2])
