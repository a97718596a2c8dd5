"""The training loop of every method: pretraining, fine-tuning, reward models, preferences, reinforcement learning.

A method says which micro-batches make a global step and gives for each the *sum* of its loss over supervised tokens and their number;
the loop adds both up over micro-batches and processes, divides once, clips, and moves the weights. So a step is the same however it
is cut up: eight rows at once, one by one, or over many processes (up to the rounding of sums).

Everything that decides what comes next is in the checkpoint: weights, optimizers, step, random states, the method's own state and the
rows of metrics. A run that was killed goes on as if nothing had happened, bit for bit, on the same device with the same threads and
number of processes. When checkpoints are written changes nothing.

A row of metrics, one for each step: step, tokens (supervised, so far), loss (nats per supervised token, before the update), lr (of the
first optimizer's first group), grad_norm (before clipping), tokens_per_second (of the clock), then the method's measures and
observations.
"""

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from models.transformer import random_state
from models.transformer.checkpoint import Checkpoints, described
from models.transformer.divergence import WINDOW, Diverged, complaint
from models.transformer.schedule import Schedule
from models.transformer.world import World
from models.unusable import Unusable

PATIENCE = 20
"""Checkpoints that are written by time take at most one part of so many of it, however large the model is."""

Row = dict[str, float]


@dataclass(frozen=True)
class Loss:
    """Of one micro-batch."""

    total: Tensor
    """Sum over supervised tokens, with its graph."""
    count: Tensor
    """Supervised tokens."""
    auxiliary: Tensor | None = None
    """Also a sum, also divided by the number of supervised tokens of the global step, but no part of the reported loss."""
    measures: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    """Name -> (sum, weight): reported as the sum of sums / the sum of weights, over micro-batches and processes. The same names always."""


class Method(Protocol):
    def batches(self, step: int) -> Sequence[Any]:
        """This process's micro-batches of the update that follows `step` others: at least one."""
        ...

    def loss(self, model: nn.Module, batch: Any) -> Loss: ...

    def observe(self, step: int, seconds: float) -> Row:
        """What else to report once `step` updates are made, the last of which took `seconds`; every process is asked. `step` 0: before
        the first. Must leave the global random generators as they were."""
        ...

    def state(self) -> dict[str, Any]:
        """Of this process; tensors, numbers, strings, lists and dicts."""
        ...

    def restore(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Plan:
    schedule: Schedule
    clip: float = 1.0
    """Largest global norm of the gradients; 0: any."""
    spike: float = 0.0
    """Stop where the loss exceeds its running median by this much and by ten median deviations; 0: never."""


@dataclass(frozen=True)
class Watcher:
    """Who is told: `say` what a person should know, `row` each row of metrics as it comes."""

    say: Callable[[str], None] = lambda text: None
    row: Callable[[Row], None] = lambda row: None
    resumed: Callable[[Sequence[Row]], None] = lambda rows: None
    """Told all rows that a resumed run had come to."""


def train(
    model: nn.Module,
    method: Method,
    optimizers: Sequence[Optimizer],
    plan: Plan,
    world: World,
    checkpoints: Checkpoints,
    watcher: Watcher,
) -> list[Row]:
    """Move the weights of `model` through all steps; rank 0 gets all rows. Raises Diverged where the loss goes wrong, before the weights do."""
    run = _Run(model, method, optimizers, plan, world, checkpoints, watcher)
    run.resume()
    run.go()
    return run.rows


class _Forward(nn.Module):
    """The method's loss as a module, so that DistributedDataParallel sees its forward pass."""

    def __init__(self, model: nn.Module, method: Method) -> None:
        super().__init__()
        self.model = model
        self.method = method

    def forward(self, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The objective (a sum), and the sums to report."""
        loss = self.method.loss(self.model, batch)
        sums = {"loss": loss.total.detach().double(), "tokens": loss.count.detach().double()}
        for name, (total, weight) in loss.measures.items():
            sums[f"sum {name}"] = total.detach().double()
            sums[f"weight {name}"] = weight.detach().double()
        return loss.total if loss.auxiliary is None else loss.total + loss.auxiliary, sums


class _Run:
    def __init__(
        self,
        model: nn.Module,
        method: Method,
        optimizers: Sequence[Optimizer],
        plan: Plan,
        world: World,
        checkpoints: Checkpoints,
        watcher: Watcher,
    ) -> None:
        self.model, self.method, self.optimizers, self.plan = model, method, optimizers, plan
        self.world, self.checkpoints, self.watcher = world, checkpoints, watcher
        self.weights = [weight for optimizer in optimizers for group in optimizer.param_groups for weight in group["params"]]
        self.forward: nn.Module = _Forward(model, method)
        self.step = 0
        self.rows: list[Row] = []
        self.saved = time.monotonic()
        self.cost = 0.0
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group.setdefault("initial_lr", group["lr"])

    def resume(self) -> None:
        """From the newest whole checkpoint, which every process reads."""
        content = self.checkpoints.load(self.watcher.say) if self.world.rank == 0 else None
        self.world.wait()  # rank 0 sweeps away what is damaged before the others look
        if self.world.rank:
            content = self.checkpoints.load(self.watcher.say)
        if content is None:
            return
        self.model.load_state_dict(content["model"])
        for optimizer, state in zip(self.optimizers, content["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.step = content["step"]
        names, values = content["rows"]["names"], content["rows"]["values"].tolist()
        self.rows = [{name: value for name, value in zip(names, row, strict=True) if not math.isnan(value)} for row in values]
        processes = content["processes"]
        known = self.world.rank < len(processes)
        mine = processes[self.world.rank if known else 0]
        self.method.restore(mine["method"])
        if known:
            random_state.put(mine["random"], self.world.device)
        if len(processes) != self.world.size:
            self.watcher.say(
                f"the checkpoint is of {len(processes)} processes, now there are {self.world.size}: last bits will differ"
            )
        self.watcher.say(f"goes on from step {self.step}")
        self.watcher.resumed(self.rows)

    def go(self) -> None:
        if self.world.size > 1:
            # Looking for unused weights keeps the buckets as they are: else they were laid out anew after the first step of every
            # process, and with them the order in which more than two processes' gradients are summed.
            self.forward = DistributedDataParallel(
                self.forward, broadcast_buffers=False, find_unused_parameters=True, gradient_as_bucket_view=True
            )
        if self.step == 0:
            self._note({"step": 0.0, "tokens": 0.0}, self._observed(0.0))
        while self.step < self.plan.schedule.steps:
            self._one()

    def _one(self) -> None:
        began = time.perf_counter()
        share = self.plan.schedule.at(self.step)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * share
        sums, due = self._accumulate()
        tokens = sums.pop("tokens")
        if not tokens:
            raise Unusable(f"step {self.step + 1} has no supervised token; expected at least one. Is the data all padding?")
        loss = sums.pop("loss") / tokens
        norm = self._clip(tokens)
        self._check(loss, norm)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        before = self.rows[-1]["tokens"] if self.rows else 0.0
        row = {"step": float(self.step), "tokens": before + tokens, "loss": loss}
        seconds = time.perf_counter() - began
        row |= {"lr": float(self.optimizers[0].param_groups[0]["lr"]), "grad_norm": norm, "tokens_per_second": tokens / seconds}
        for name in [name.removeprefix("sum ") for name in sums if name.startswith("sum ")]:
            if weight := sums[f"weight {name}"]:
                row[name] = sums[f"sum {name}"] / weight
        self._note(row, self._observed(seconds))
        if due or self.step == self.plan.schedule.steps:
            self._save()

    def _accumulate(self) -> tuple[dict[str, float], bool]:
        """Gradients of the whole global step in every weight, as a sum over supervised tokens (DDP: divided by the number of processes);
        the sums to report; whether a checkpoint is due."""
        batches = self.method.batches(self.step)
        added: dict[str, Tensor] = {}
        for place, batch in enumerate(batches, 1):
            hold = isinstance(self.forward, DistributedDataParallel) and place < len(batches)
            with self.forward.no_sync() if hold else contextlib.nullcontext():
                objective, sums = self.forward(batch)
                objective.backward()
            added = {name: added[name] + value if name in added else value for name, value in sums.items()}
        late = self.world.rank == 0 and self._late()  # rank 0's clock speaks for all: it must be one decision
        added["due"] = torch.tensor(float(late), dtype=torch.float64, device=self.world.device)
        names = sorted(added)
        values = self.world.total(torch.stack([added[name] for name in names])).tolist()
        totals = dict(zip(names, values, strict=True))
        return totals, bool(totals.pop("due"))

    def _late(self) -> bool:
        """Whether a checkpoint is due once this step is made."""
        every_steps, every_seconds = self.checkpoints.every_steps, self.checkpoints.every_seconds
        if every_steps and (self.step + 1) % every_steps == 0:
            return True
        return bool(every_seconds) and time.monotonic() - self.saved >= max(every_seconds, PATIENCE * self.cost)

    def _clip(self, tokens: float) -> float:
        """Divide the gradients by the number of tokens, hold them to the largest norm; back: their norm before that."""
        grads = [weight.grad for weight in self.weights if weight.grad is not None]
        per_token = self.world.size / tokens
        norm = float(torch.nn.utils.get_total_norm(grads)) * per_token
        held = min(1.0, self.plan.clip / (norm + 1e-6)) if self.plan.clip else 1.0
        torch._foreach_mul_(grads, per_token * held)
        return norm

    def _check(self, loss: float, norm: float) -> None:
        recent = [row["loss"] for row in self.rows[-WINDOW:] if "loss" in row]
        if (wrong := complaint(loss, norm, recent, self.plan.spike)) is not None:
            raise Diverged(
                f"step {self.step + 1}: {wrong}. The last good checkpoint is {described(self.checkpoints.newest())}. Lower the learning "
                "rates, clip harder or look at the data of this step; training with the same settings would come to the same step"
            )

    def _observed(self, seconds: float) -> Row:
        with torch.compiler.set_stance("force_eager"):  # other shapes than a training step's are not worth compiling for
            return self.method.observe(self.step, seconds)

    def _note(self, row: Row, observed: Row) -> None:
        self.rows.append(row | observed)
        self.watcher.row(self.rows[-1])

    def _save(self) -> None:
        began = time.monotonic()
        processes = self.world.gather({"random": random_state.get(self.world.device), "method": self.method.state()})
        if self.world.rank == 0:
            names = list(dict.fromkeys(name for row in self.rows for name in row))
            values = torch.tensor([[row.get(name, math.nan) for name in names] for row in self.rows], dtype=torch.float64)
            self.checkpoints.save(
                self.step,
                {
                    "model": self.model.state_dict(),
                    "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
                    "processes": processes,
                    "rows": {"names": names, "values": values},
                },
            )
        self.saved = time.monotonic()
        self.cost = self.saved - began
