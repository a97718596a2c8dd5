from collections import Counter

import numpy as np
import pytest

from stages.tokens.shuffle import key, shuffled


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 64, 65, 1000, 4097])
def test_every_thing_gets_a_place_of_its_own(n: int) -> None:
    for seed in range(5):
        assert sorted(shuffled(np.arange(n), n, key(seed)).tolist()) == list(range(n))


def test_a_place_can_be_asked_for_alone() -> None:
    whole = shuffled(np.arange(777), 777, key("a", 1))
    assert [int(shuffled(np.array([n]), 777, key("a", 1))[0]) for n in range(777)] == whole.tolist()


def test_another_key_is_another_order() -> None:
    orders = {
        tuple(shuffled(np.arange(50), 50, key(*parts)).tolist()) for parts in [(0, 1), (1, 0), (0, "1"), ("01",), (0, 1, 0)]
    }
    assert len(orders) == 5


def test_all_orders_of_few_things_are_about_as_frequent() -> None:
    counts = Counter(tuple(shuffled(np.arange(4), 4, key(seed)).tolist()) for seed in range(12_000))
    assert len(counts) == 24
    assert all(abs(count - 500) < 5 * 500**0.5 for count in counts.values())


def test_neighbours_end_up_far_apart() -> None:
    order = shuffled(np.arange(10_000), 10_000, key(3))
    assert abs(np.corrcoef(order[1:], order[:-1])[0, 1]) < 0.05
    assert abs(np.corrcoef(order, np.arange(10_000))[0, 1]) < 0.05
