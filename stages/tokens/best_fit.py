"""Best-fit decreasing: pieces into as few rows as may be, the longest first, each into the fullest row that still has room.

In: lengths of P pieces, none longer than a row. Out: the row of each, and how many rows there are. P log(row) steps: rows with the
same room form a list, and a tree over rooms finds the smallest that is large enough.

Source: Ding et al. 2024, "Fewer Truncations Improve Language Modeling" (arXiv 2404.10830), section 3.1 and appendix; the algorithm is
Johnson's of 1973, at most 11/9 of the fewest rows possible.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]


def best_fit(lengths: I64, room: int) -> tuple[I64, int]:
    """`lengths`: 1 to `room` each, [P]. Back: the row of each piece, [P], and the number of rows. Equal pieces keep their order."""
    row_of, rows = _best_fit(lengths, np.argsort(-lengths, kind="stable"), room)
    return row_of, rows


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _best_fit(lengths: Any, order: Any, room: int) -> Any:
    leaves = 1
    while leaves <= room:
        leaves *= 2
    any_row = np.zeros(2 * leaves, np.bool_)  # tree: does a row have as much room as one of the leaves below says?
    last = np.full(leaves, -1, np.int64)  # by room left: the row that got it last
    before = np.empty(len(lengths), np.int64)  # and the one that had it before
    row_of = np.empty(len(lengths), np.int64)
    rows = 0
    for piece in order:
        node = leaves + lengths[piece]
        if not any_row[node]:
            while node > 1 and not (node & 1 == 0 and any_row[node + 1]):
                node >>= 1  # nothing to the right yet
            node += node > 1
        if node == 1:
            row, left = rows, room
            rows += 1
        else:
            while node < leaves:
                node = 2 * node if any_row[2 * node] else 2 * node + 1
            left = node - leaves
            row = last[left]
            last[left] = before[row]
            if last[left] < 0:
                any_row[node] = False
                node >>= 1
                while node >= 1:
                    any_row[node] = any_row[2 * node] or any_row[2 * node + 1]
                    node >>= 1
        row_of[piece] = row
        left -= lengths[piece]
        before[row] = last[left]
        last[left] = row
        node = leaves + left
        while node >= 1 and not any_row[node]:
            any_row[node] = True
            node >>= 1
    return row_of, rows
