"""Documents laid out in rows: cut where one is longer than a row, fitted, and written one behind the other.

In: D documents, each from its start token to its end. Out: N rows of R tokens

| | |
|---|---|
| tokens | pieces of documents, each behind a start token, then padding |
| used | tokens before the padding, [N] |
| bytes | UTF-8 bytes of the row's text, [N] |
| starts, first | place of each start token in its row; those of row i are from first[i] to first[i + 1] |

Every token of every document stands in one row, once; only the start token is repeated, where a document goes on in another row. A
tokenizer without a start token has rows that begin at documents all the same. Which documents share a row, and the order of rows
and of pieces in a row, come from `key`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from stages.tokens.best_fit import best_fit
from stages.tokens.shuffle import key, shuffled

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """N rows of R tokens."""

    tokens: I32
    used: I64
    bytes: I64
    starts: I64
    first: I64
    cut: int
    """Documents that are in more than one piece."""


def lay_out(
    tokens: I32, lengths: I64, row: int, start: int | None, pad: int, spelled: I64, seed: tuple[int | str, ...]
) -> Layout:
    """`tokens` of all documents, of `lengths` [D]; `row` tokens in a row; `spelled`: bytes of text that an id stands for, [V]."""
    documents = len(lengths)
    order = np.empty(documents, np.int64)
    order[shuffled(np.arange(documents), documents, key(*seed, "documents"))] = np.arange(documents)
    begins, lengths = (np.cumsum(lengths) - lengths)[order], lengths[order]

    repeated = 0 if start is None else 1
    body = row - repeated
    pieces = np.maximum(1, -(-(lengths - repeated) // body))
    document = np.repeat(np.arange(documents), pieces)
    skipped = (np.arange(len(document)) - np.repeat(np.cumsum(pieces) - pieces, pieces)) * body + repeated
    begins, sizes = begins[document] + skipped, np.minimum(lengths[document] - skipped, body)

    row_of, rows = best_fit(sizes + repeated, row)
    row_of = shuffled(row_of, rows, key(*seed, "rows"))
    by_row = np.argsort(row_of, kind="stable")
    tokens_NR = np.full((rows, row), pad, np.int32)
    used, text, starts = np.zeros(rows, np.int64), np.zeros(rows, np.int64), np.empty(len(row_of), np.int64)
    _write(
        tokens,
        begins[by_row],
        sizes[by_row],
        row_of[by_row],
        -1 if start is None else start,
        spelled,
        tokens_NR,
        used,
        text,
        starts,
    )
    first = np.concatenate([[0], np.cumsum(np.bincount(row_of, minlength=rows))])
    return Layout(tokens_NR, used, text, starts, first, int(np.count_nonzero(pieces > 1)))


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _write(
    tokens: Any, begins: Any, sizes: Any, rows: Any, start: int, spelled: Any, out: Any, used: Any, text: Any, starts: Any
) -> None:
    """Fills the last four."""
    for piece in range(len(rows)):
        row = rows[piece]
        at = used[row]
        starts[piece] = at
        if start >= 0:
            out[row, at] = start
            at += 1
        for i in range(begins[piece], begins[piece] + sizes[piece]):
            out[row, at] = tokens[i]
            text[row] += spelled[tokens[i]]
            at += 1
        used[row] = at
