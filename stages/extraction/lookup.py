"""Words to numbers inside compiled code: open addressing over 32-bit FNV-1a hashes, a code point a step.

The words of a table are known when it is made, so two of them with one hash are found then; a foreign word meets one of a thousand
known hashes by accident once in four million.
Source: Fowler, Noll, Vo, FNV-1a (https://datatracker.ietf.org/doc/html/draft-eastlake-fnv), 32 bits.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numba import njit

BASIS = np.uint32(2166136261)
PRIME = np.uint32(16777619)


class Table(NamedTuple):
    hashes: np.ndarray  # [size] uint32, 0: empty
    values: np.ndarray  # [size] int64


def table(words: Mapping[str, int]) -> Table:
    """Raises ValueError where two words have one hash."""
    size = 16
    while size < 4 * len(words):
        size *= 2
    hashes, values = np.zeros(size, np.uint32), np.zeros(size, np.int64)
    for word, value in words.items():
        wanted = int(hash_of(word))
        at = wanted & (size - 1)
        while hashes[at]:
            if hashes[at] == wanted:
                raise ValueError(f"{word!r} has the hash of another word of the table; rename or drop one")
            at = (at + 1) & (size - 1)
        hashes[at], values[at] = wanted, value
    return Table(hashes, values)


def hash_of(word: str) -> np.uint32:
    value = int(BASIS)
    for character in word:
        value = (value ^ ord(character)) * int(PRIME) & 0xFFFFFFFF
    return np.uint32(value)


@njit(inline="always")
def mix(value, code):  # type: ignore[no-untyped-def]
    """The hash of a word with one character more."""
    return np.uint32((value ^ np.uint32(code)) * PRIME)


@njit(inline="always")
def look(hashes, values, wanted):  # type: ignore[no-untyped-def]
    """The word's value; 0 for an unknown word."""
    last = np.uint32(hashes.shape[0] - 1)
    at = wanted & last
    while hashes[at] != 0:
        if hashes[at] == wanted:
            return values[at]
        at = (at + np.uint32(1)) & last
    return np.int64(0)
