"""What jobs do in the tests. It lives in a module so that the job's processes can import it; torch is imported where it is needed, for
that takes seconds."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from models.unusable import Unusable
from stages.compute import Compute
from stages.stage import Config
from storage.problem import Problem


class JobConfig(Config):
    """What the job of a test is told."""

    text: str = ""
    """Something to say."""
    rank: int = 0
    """The process that does it."""


def report(inputs: Any, out: Path, config: JobConfig, compute: Compute) -> dict[str, Any]:
    print("said on standard output")
    print("said on standard error", file=sys.stderr)
    (out / "made").write_text(config.text)
    pools = {name: os.environ[name] for name in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "OMP_WAIT_POLICY")}
    return {"inputs": inputs, "text": config.text, **pools}


def add(inputs: Any, out: Path, config: JobConfig, compute: Compute) -> dict[str, Any]:
    import torch

    from models.transformer.world import joined

    with joined("cpu") as world:
        return {"sum": float(world.total(torch.tensor(float(world.rank + 1)))), "gathered": world.gather(world.rank)}


def problem(inputs: Any, out: Path, config: JobConfig, compute: Compute) -> dict[str, Any]:
    raise Problem(config.text)


def unusable(inputs: Any, out: Path, config: JobConfig, compute: Compute) -> dict[str, Any]:
    raise Unusable(config.text)


def bug(inputs: Any, out: Path, config: JobConfig, compute: Compute) -> dict[str, Any]:
    raise KeyError(config.text)


def too_large(inputs: Any, out: Path, config: JobConfig, compute: Compute) -> dict[str, Any]:
    import torch

    return {"never": torch.empty(1 << 60).numel()}


def killed(inputs: Any, out: Path, config: JobConfig, compute: Compute) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def one_of_two(inputs: Any, out: Path, config: JobConfig, compute: Compute) -> dict[str, Any]:
    """The other waits for it, for ever if nobody ends it."""
    from models.transformer.world import joined

    with joined("cpu") as world:
        if world.rank == config.rank:
            if config.text == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise Problem(config.text)
        world.wait()
    return {}


def slow(inputs: Any, out: Path, config: JobConfig, compute: Compute) -> dict[str, Any]:
    with (out / "times").open("a") as file:
        file.write(f"begin {config.text}\n")
        file.flush()
        time.sleep(float(config.text))
        file.write(f"end {config.text}\n")
    return {}
