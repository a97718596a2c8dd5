"""The processes that train one model together: who I am, on what I compute, and sums over all of us.

One process alone needs nothing; several are started by torchrun, each on its own device: NCCL between GPUs, gloo between CPUs.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor

from models.unusable import Unusable

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class World:
    rank: int
    size: int
    device: torch.device

    def total(self, numbers: Tensor) -> Tensor:
        """The sum over all processes; every one of them must call. Changes `numbers`."""
        if self.size > 1:
            dist.all_reduce(numbers)
        return numbers

    def gather(self, mine: Any) -> list[Any]:
        """What each process has, in the order of ranks: on rank 0; elsewhere an empty list."""
        if self.size == 1:
            return [mine]
        found: list[Any] = [None] * self.size
        dist.gather_object(mine, found if self.rank == 0 else None)
        return found if self.rank == 0 else []

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            dist.barrier()


def alone(device: Device = "auto") -> World:
    return World(0, 1, _device(device, 0))


@contextlib.contextmanager
def joined(device: Device = "auto") -> Iterator[World]:
    """Alone, or with the others that torchrun started."""
    if not dist.is_torchelastic_launched():
        yield alone(device)
        return
    chosen = _device(device, dist.get_node_local_rank())
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    world = World(dist.get_rank(), dist.get_world_size(), chosen)
    try:
        yield world
        world.wait()  # whoever left first would close connections from which others still read
    finally:
        dist.destroy_process_group()


def _device(device: Device, local: int) -> torch.device:
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "cpu" or (device == "auto" and not there):
        return torch.device("cpu")
    if local >= there:
        raise Unusable(
            f"process {local} asks for a GPU of its own, found {there}; lower the number of processes or compute on the CPU"
        )
    return torch.device("cuda", local)
