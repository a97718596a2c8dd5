"""Where and how a model is trained or run: none of it is part of an artifact's key."""

from typing import Literal

from pydantic import Field

from flows.run import Parameters


class Compute(Parameters):
    """On what to compute. The same training on another device or with other threads differs in the last bits, which the run record names."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: the GPU if there is one."""
    threads: int = Field(default=0, ge=0, le=1024)
    """Threads of each process; 0: all cores, shared among the processes."""
    processes: int = Field(default=1, ge=1, le=1024)
    """Devices to train on at once (distributed data parallel, started by torchrun)."""
    micro_rows: int = Field(default=0, ge=0)
    """Rows that go through the model at once; fewer need less memory, the result is the same up to rounding. 0: chosen for the device."""
    compile: bool = False
    """Whether torch.compile makes machine code of the model first: worth it from about half an hour of training on."""

    def given(self) -> dict[str, str]:
        """As a stage takes it."""
        return {name: str(value).lower() for name, value in self.model_dump(mode="json").items()}
