import random

import pytest

from models.transformer.divergence import complaint


@pytest.mark.parametrize(
    ("loss", "norm", "said"),
    [
        (float("nan"), 1.0, "the loss is nan"),
        (float("inf"), 1.0, "the loss is inf"),
        (2.0, float("nan"), "the norm of the gradients is nan"),
        (2.0, float("inf"), "the norm of the gradients is inf"),
        (2.0, 1e9, None),
    ],
)
def test_what_is_no_number_is_wrong_from_the_first_step_on(loss: float, norm: float, said: str | None) -> None:
    assert complaint(loss, norm, [], 0.0) == said


def test_a_loss_that_falls_fast_or_is_noisy_is_no_spike() -> None:
    draw = random.Random(0)
    losses = [8.0 * 0.97**step + draw.gauss(0, 0.3) for step in range(300)]
    assert all(complaint(loss, 1.0, losses[max(0, step - 64) : step], 1.0) is None for step, loss in enumerate(losses))


def test_a_leap_is_a_spike_only_where_losses_do_not_leap_anyway() -> None:
    steady, noisy = [2.0, 2.1] * 20, [1.0, 3.0] * 20
    assert complaint(4.2, 1.0, steady, 2.0) == (
        "the loss is 4.200, where the median of the 40 steps before is 2.050; expected at most 2.000 more"
    )
    assert complaint(4.0, 1.0, steady, 2.0) is None
    assert complaint(9.0, 1.0, noisy, 2.0) is None
    assert complaint(9.0, 1.0, steady, 0.0) is None
    assert complaint(9.0, 1.0, steady[:10], 2.0) is None  # too few to judge by
