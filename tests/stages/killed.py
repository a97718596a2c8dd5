"""Jobs that are killed, and what they leave."""

import os
import signal
import time
from pathlib import Path

import polars as pl

CLOCK = ("mfu", "drawing")
"""Metrics that no two runs have in common, beside all `_per_second`."""


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
    metrics = pl.read_parquet(out / "metrics.parquet")
    lasting = [name for name in metrics.columns if name not in CLOCK and not name.endswith("_per_second")]
    found["metrics.parquet"] = metrics.select(lasting).serialize()
    return found
