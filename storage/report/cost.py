"""What the way to a model cost, as far as the run records say it. In: a way. Out: a row for each artifact, and sums.

A run records the wall time of a stage, from its start to the sealed artifact. A training says on what it computed
(`computed_on`: device, processes, threads); other stages do not, and no thread is invented for them.

| figure | what it is |
|---|---|
| seconds | of wall time, in the run that computed the artifact; null: no record of that run |
| CPU thread hours | seconds x processes x threads, where the device is the CPU: what was kept ready, an upper bound of what was used |
| GPU hours | seconds x processes, where it is a GPU: one process holds one |
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from storage.report.way import Station

_COMPUTED_ON = re.compile(r"(?P<device>[a-z]+), (?:(?P<processes>\d+) x )?(?P<threads>\d+) threads\b")


@dataclass(frozen=True)
class Cost:
    station: Station
    seconds: float | None
    computed_on: str | None
    """As the stage says it: "cpu, 1 x 2 threads, torch 2.13.0"."""
    cpu_thread_hours: float | None
    gpu_hours: float | None


@dataclass(frozen=True)
class Sums:
    seconds: float
    cpu_thread_hours: float
    gpu_hours: float
    unnamed_seconds: float
    """Of stages that do not say on what they computed."""
    unrecorded: int
    """Artifacts of which no record says what they took."""

    def document(self) -> dict[str, float]:
        return {
            "seconds": self.seconds,
            "cpu_thread_hours": self.cpu_thread_hours,
            "gpu_hours": self.gpu_hours,
            "seconds_without_threads": self.unnamed_seconds,
            "artifacts_without_record": self.unrecorded,
        }


def cost_of(station: Station) -> Cost:
    seconds = station.made.seconds if station.made else None
    said = station.snapshot.stats.get("computed_on") if station.snapshot else None
    match = _COMPUTED_ON.match(said) if isinstance(said, str) else None
    if match is None or seconds is None:
        return Cost(station, seconds, said, None, None)
    hours = seconds * int(match["processes"] or 1) / 3600
    if match["device"] == "cpu":
        return Cost(station, seconds, said, hours * int(match["threads"]), None)
    return Cost(station, seconds, said, None, hours)


def sums(costs: Iterable[Cost]) -> Sums:
    every = list(costs)
    named = [one for one in every if one.cpu_thread_hours is not None or one.gpu_hours is not None]
    return Sums(
        sum(one.seconds or 0.0 for one in every),
        sum(one.cpu_thread_hours or 0.0 for one in every),
        sum(one.gpu_hours or 0.0 for one in every),
        sum(one.seconds or 0.0 for one in every if one not in named),
        sum(one.seconds is None for one in every),
    )
