"""Rows hold the documents: nothing lost, nothing twice, each piece behind a start token."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.tokens.layout import Layout, lay_out

START, END, PAD = 1, 2, 0
SPELLED = np.array([0, 0, 0, *range(3, 1000)])
CORPORA = st.tuples(st.integers(3, 12), st.lists(st.integers(0, 40), min_size=1, max_size=30))


def documents(lengths: list[int], start: int | None = START) -> list[list[int]]:
    """Every token of every document is another, so that each can be followed."""
    ids = iter(range(3, 10_000))
    return [[*([] if start is None else [start]), *(next(ids) for _ in range(length)), END] for length in lengths]


def laid(docs: list[list[int]], row: int, start: int | None = START, seed: int = 0) -> Layout:
    tokens = np.array([token for doc in docs for token in doc], np.int32)
    spelled = np.array([0, 0, 0, *range(3, int(tokens.max(initial=3)) + 1)])
    return lay_out(tokens, np.array(list(map(len, docs))), row, start, PAD, spelled, (seed,))


def pieces(layout: Layout) -> list[list[int]]:
    """Cut at the document starts, without the padding."""
    found = []
    for row in range(len(layout.used)):
        starts = [*layout.starts[layout.first[row] : layout.first[row + 1]].tolist(), int(layout.used[row])]
        assert starts[0] == 0
        found += [layout.tokens[row, a:b].tolist() for a, b in itertools.pairwise(starts)]
    return found


@settings(deadline=None)  # the first call compiles
@given(CORPORA, st.sampled_from([START, None]))
def test_no_token_is_lost_or_repeated_and_pieces_of_a_document_follow_in_order(
    corpus: tuple[int, list[int]], start: int | None
) -> None:
    row, lengths = corpus
    docs = documents(lengths, start)
    layout = laid(docs, row, start)
    found = pieces(layout)
    bodies = found if start is None else [piece[1:] for piece in found]
    assert start is None or all(piece[0] == START for piece in found)
    expected = [token for doc in docs for token in (doc if start is None else doc[1:])]
    assert Counter(token for body in bodies for token in body) == Counter(expected)
    runs = sorted((body for body in bodies if body[0] != END), key=lambda body: body[0])
    assert [token for body in runs for token in body if token != END] == [token for token in expected if token != END]


@settings(deadline=None)
@given(CORPORA)
def test_only_documents_longer_than_a_row_are_cut_and_into_as_few_pieces_as_may_be(corpus: tuple[int, list[int]]) -> None:
    row, lengths = corpus
    docs = documents(lengths)
    layout = laid(docs, row)
    assert layout.cut == sum(len(doc) > row for doc in docs)
    assert len(layout.starts) == sum(-(-(len(doc) - 1) // (row - 1)) for doc in docs)


@settings(deadline=None)
@given(CORPORA)
def test_padding_is_behind_what_is_used_and_two_pieces_never_lie_in_two_rows_that_one_could_hold(
    corpus: tuple[int, list[int]],
) -> None:
    row, lengths = corpus
    layout = laid(documents(lengths), row)
    assert (layout.tokens[np.arange(row) >= layout.used[:, None]] == PAD).all()
    fullness = np.sort(layout.used)
    assert len(fullness) < 2 or fullness[0] + fullness[1] > row


def test_bytes_of_a_row_are_those_that_its_tokens_stand_for() -> None:
    layout = laid(documents([5, 20, 3, 9]), 11)
    assert layout.bytes.tolist() == [sum(token for token in row.tolist() if token > END) for row in layout.tokens]


def test_another_seed_is_another_order_and_the_same_is_the_same() -> None:
    docs = documents([6] * 200)
    one, again, other = laid(docs, 32), laid(docs, 32), laid(docs, 32, seed=1)
    assert np.array_equal(one.tokens, again.tokens)
    assert not np.array_equal(one.tokens, other.tokens)


@pytest.mark.parametrize("long_first", [True, False])
def test_the_longest_piece_is_not_always_the_first_of_its_row(long_first: bool) -> None:
    layout = laid(documents([20, 5] * 50), 30)
    first = [
        layout.starts[layout.first[row] + 1] > 10
        for row in range(len(layout.used))
        if layout.first[row + 1] - layout.first[row] == 2
    ]
    assert long_first in first
