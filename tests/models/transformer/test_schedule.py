import itertools
import math

import pytest

from models.transformer.schedule import Schedule
from models.unusable import Unusable


def test_a_constant_schedule_rises_holds_and_falls_in_a_straight_line() -> None:
    schedule = Schedule(100, warmup=0.1, decay=0.4, floor=0.05)
    rates = [schedule.at(step) for step in range(100)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10:61] == [1.0] * 51
    assert rates[60:] == pytest.approx([0.05 + 0.95 * (100 - step) / 40 for step in range(60, 100)])
    assert rates[-1] > 0.05


def test_a_cosine_schedule_falls_to_its_floor() -> None:
    schedule = Schedule(100, "cosine", warmup=0.1, floor=0.1)
    rates = [schedule.at(step) for step in range(101)]
    assert rates[9:11] == [1.0, 1.0]
    assert rates[55] == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi / 2)) / 2)
    assert rates[100] == pytest.approx(0.1)
    assert all(later <= earlier for earlier, later in itertools.pairwise(rates[9:]))


def test_there_may_be_no_warmup_and_no_decay_and_a_single_step() -> None:
    assert [Schedule(5, warmup=0, decay=0).at(step) for step in range(5)] == [1.0] * 5
    assert Schedule(1, warmup=0, decay=0.5).at(0) == 1.0
    assert Schedule(1, warmup=1, decay=0).at(0) == 1.0
    assert Schedule(1, "cosine", warmup=0).at(0) == 1.0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"steps": 0}, "over 0 steps"),
        ({"steps": 9, "warmup": 1.5}, "warmup 1.5.*shares between 0 and 1"),
        ({"steps": 9, "warmup": 0.6, "decay": 0.6}, "warmup 0.6 and decay 0.6 overlap"),
    ],
)
def test_nonsense_is_refused(given: dict[str, float], said: str) -> None:
    with pytest.raises(Unusable, match=said):
        Schedule(**given)  # type: ignore[arg-type]
