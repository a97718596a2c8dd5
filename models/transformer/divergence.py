"""When a training has gone wrong: the loss or the gradients are no numbers, or the loss has leapt."""

import math
import statistics
from collections.abc import Sequence

from models.unusable import Unusable

WINDOW = 64
"""Steps whose median a spike is measured against."""


class Diverged(Unusable):
    """The training must stop. The weights are those of before the step that went wrong."""


def complaint(loss: float, norm: float, recent: Sequence[float], spike: float) -> str | None:
    """What is wrong with a step's loss and norm of gradients, if anything. `recent`: the losses before, at most WINDOW; `spike`: by how
    much the loss may exceed their median, or by ten of their median deviations where that is more; 0: by anything."""
    if not math.isfinite(loss):
        return f"the loss is {loss}"
    if not math.isfinite(norm):
        return f"the norm of the gradients is {norm}"
    if not spike or len(recent) < WINDOW // 4:
        return None
    median = statistics.median(recent)
    allowed = max(spike, 10 * statistics.median(abs(one - median) for one in recent))
    if loss <= median + allowed:
        return None
    before = f"the median of the {len(recent)} steps before is {median:.3f}"
    return f"the loss is {loss:.3f}, where {before}; expected at most {allowed:.3f} more"
