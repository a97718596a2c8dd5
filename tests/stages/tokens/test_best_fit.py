import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.tokens.best_fit import best_fit


def slow(lengths: list[int], room: int) -> list[int]:
    """Room left in the rows, by looking through all of them for each piece."""
    left: list[int] = []
    for length in sorted(lengths, reverse=True):
        fits = [row for row in range(len(left)) if left[row] >= length]
        if not fits:
            left.append(room)
            fits = [len(left) - 1]
        left[min(fits, key=lambda row: left[row])] -= length
    return sorted(left)


PIECES = st.integers(1, 40).flatmap(lambda room: st.tuples(st.just(room), st.lists(st.integers(1, room), max_size=60)))


@settings(deadline=None)  # the first call compiles
@given(PIECES)
def test_rows_are_filled_as_by_the_plain_algorithm(pieces: tuple[int, list[int]]) -> None:
    room, lengths = pieces
    row_of, rows = best_fit(np.array(lengths, np.int64), room)
    left = room - np.bincount(row_of, lengths, rows)
    assert sorted(left.tolist()) == slow(lengths, room)


def test_pieces_that_fit_together_share_a_row() -> None:
    row_of, rows = best_fit(np.array([3, 7, 5, 5, 10, 1, 9]), 10)
    assert rows == 4
    assert row_of[0] == row_of[1]
    assert row_of[2] == row_of[3]
    assert row_of[5] == row_of[6]


def test_many_short_documents_leave_next_to_no_room() -> None:
    lengths = np.random.default_rng(0).integers(2, 700, 20_000)
    _, rows = best_fit(lengths, 1025)
    assert rows * 1025 - lengths.sum() < 0.001 * lengths.sum()
