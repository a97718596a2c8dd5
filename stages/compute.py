"""On what a job computes: what a flow hands to a stage beside its config, for none of it is part of an artifact's key."""

import os
from collections.abc import Mapping
from typing import Literal

import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from storage.problem import Problem


class Compute(BaseModel):
    """What trainings and models run on, and how often a training writes a checkpoint; none of it is a setting of the model."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: the GPU if there is one."""
    threads: int = Field(default=0, ge=0, le=1024)
    """Threads of each process; 0: all cores, shared among the processes."""
    processes: int = Field(default=1, ge=1, le=1024)
    """Processes that train together, on a GPU each where there are GPUs."""
    micro_rows: int = Field(default=0, ge=0)
    """Rows that go through the model at once; 0: chosen for device and model."""
    compile: bool = False
    """Whether torch.compile makes machine code of the model first."""
    checkpoint_seconds: float = Field(default=60.0, ge=0)
    """Write a checkpoint when so much time has passed; 0: not by time."""
    checkpoint_steps: int = Field(default=0, ge=0)
    """Write a checkpoint every so many steps; 0: not by steps."""

    def given(self) -> dict[str, str]:
        """As a flow hands it to a stage."""
        return {name: str(value).lower() for name, value in self.model_dump(mode="json").items()}

    def shared(self, works: int) -> "Compute":
        """For each of so many works at a time."""
        return self.model_copy(update={"threads": max(1, self.threads_each // works)})

    @property
    def threads_each(self) -> int:
        """Of one process."""
        if self.threads:
            return self.threads
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, min(usable, psutil.cpu_count(logical=False) or usable) // self.processes)


def compute_of(given: Mapping[str, str]) -> Compute:
    """Read from the plain mapping of strings that the flow gives."""
    try:
        return Compute.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise Problem(
            f"compute.{name} is {first['input']!r}: {first['msg']}; expected one of {', '.join(Compute.model_fields)}"
        ) from None
