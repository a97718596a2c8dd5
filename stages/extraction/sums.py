"""Prefix sums over a page's blocks: what an element holds is the difference of two rows.

    sums[i]   over blocks 0 .. i - 1, float64: CHARACTERS, LINKED, GOOD, WORDS, STOP_WORDS

GOOD counts the unlinked characters of *good* blocks: long ones with few links and some punctuation, which needs no language. An ideograph
counts three times, for it says as much as three letters.
"""

import numpy as np

from stages.extraction.compiled import compiled

CHARACTERS, LINKED, GOOD, WORDS, STOP_WORDS = range(5)
COLUMNS = 5

_GOOD_CHARACTERS = 80
_MOST_LINKED = 0.4
_LEAST_PUNCTUATION = 2


@compiled
def prefix_sums(elements, blocks):  # type: ignore[no-untyped-def]
    """float64[blocks + 1, COLUMNS]."""
    n = blocks.shape[0]
    sums = np.zeros((n + 1, COLUMNS))
    for i in range(n):
        block = blocks[i]
        size = block.characters + 2 * block.ideographs
        good = 0
        if (
            size >= _GOOD_CHARACTERS
            and block.linked < _MOST_LINKED * block.characters
            and block.punctuation >= _LEAST_PUNCTUATION
            and elements[block.element].hidden == 0
        ):
            good = size - block.linked
        sums[i + 1, CHARACTERS] = sums[i, CHARACTERS] + block.characters
        sums[i + 1, LINKED] = sums[i, LINKED] + block.linked
        sums[i + 1, GOOD] = sums[i, GOOD] + good
        sums[i + 1, WORDS] = sums[i, WORDS] + block.words
        sums[i + 1, STOP_WORDS] = sums[i, STOP_WORDS] + block.stop_words
    return sums
