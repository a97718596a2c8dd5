"""The learning rate over a run, as a share of its peak: a pure function of the step, so that a resumed run needs nothing else.

| kind | |
|---|---|
| constant | warm up, hold, then fall in a straight line over the last `decay` of the steps (Hu et al. 2024; "trapezoid") |
| cosine | warm up, then fall along half a cosine (Loshchilov and Hutter 2017) |
"""

import math
from dataclasses import dataclass
from typing import Literal

from models.unusable import Unusable

Kind = Literal["constant", "cosine"]


@dataclass(frozen=True)
class Schedule:
    steps: int
    kind: Kind = "constant"
    warmup: float = 0.02
    """Share of the steps over which the rate rises."""
    decay: float = 0.5
    """Share of the steps over which the rate falls, of a `constant` schedule."""
    floor: float = 0.02
    """Share of the peak that is left at the end."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise Unusable(f"a schedule over {self.steps} steps; expected at least 1")
        if not (0 <= self.warmup <= 1 and 0 <= self.decay <= 1 and 0 <= self.floor <= 1):
            raise Unusable(f"warmup {self.warmup}, decay {self.decay}, floor {self.floor}; expected shares between 0 and 1")
        if self.kind == "constant" and self.warmup + self.decay > 1:
            raise Unusable(f"warmup {self.warmup} and decay {self.decay} overlap; expected a sum of at most 1")

    def at(self, step: int) -> float:
        """Share of the peak rate for the update that is made after `step` others."""
        rising = round(self.warmup * self.steps)
        if step < rising:
            return (step + 1) / rising
        if self.kind == "cosine":
            done = (step - rising) / max(1, self.steps - rising)
            return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * min(1.0, done))) / 2
        falling = round(self.decay * self.steps)
        left = max(0, self.steps - step)
        return 1.0 if left >= falling else self.floor + (1 - self.floor) * left / falling
