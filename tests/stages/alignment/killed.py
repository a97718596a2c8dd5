"""Jobs of reinforcement that are killed, and what they leave."""

import os
import signal
import time
from pathlib import Path

import polars as pl

CLOCK = ("tokens_per_second", "drawing")


def journal(out: Path) -> pl.DataFrame:
    return pl.concat(pl.read_parquet(path) for path in sorted(out.glob("rollouts-*.parquet")))


def kill_behind(out: Path, step: int) -> None:
    """SIGKILL once there is a checkpoint of `step` or later."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if any(int(path.name[5:14]) >= step for path in (out / ".checkpoints").glob("step-*.pt")):
            os.kill(int((out / ".job/pid-0").read_text()), signal.SIGKILL)
            return
        time.sleep(0.001)


def outputs(out: Path) -> dict[str, bytes]:
    """By name; of the metrics, what is not the clock's."""
    names = [path for path in out.rglob("*") if path.is_file() and not path.relative_to(out).parts[0].startswith(".")]
    found = {path.relative_to(out).as_posix(): path.read_bytes() for path in names}
    found["metrics.parquet"] = pl.read_parquet(out / "metrics.parquet").drop(CLOCK).serialize()
    return found
