"""A shuffle that holds no list: the place to which each of n things goes can be asked for alone, now or after a restart.

A Feistel network over the smallest even number of bits that holds n - 1 is a bijection; a place behind n is sent on until it falls
below (at most four times on average). Another key is another, independent order.

Source: Black and Rogaway 2002, "Ciphers with Arbitrary Finite Domains", method 2 (cycle walking). Not for secrets.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from xxhash import xxh64_intdigest

I64 = npt.NDArray[np.int64]

ROUNDS = 6
STEP = np.uint64(0x9E3779B97F4A7C15)
FACTORS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def key(*parts: int | str) -> np.uint64:
    """The key that these make; other parts, or the same in another order, make another."""
    return np.uint64(xxh64_intdigest(repr(parts).encode()))


def shuffled(places: I64, n: int, key: np.uint64) -> I64:
    """Where each of `places`, all below n, goes: all of 0 .. n-1 to all of 0 .. n-1."""
    moved: I64 = _shuffled(places, n, key)
    return moved


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _shuffled(places: Any, n: int, key: Any) -> Any:
    half = np.uint64(1)
    while 1 << (2 * half) < n:
        half += np.uint64(1)
    mask = (np.uint64(1) << half) - np.uint64(1)
    moved = np.empty(len(places), np.int64)
    for i in range(len(places)):
        place = np.uint64(places[i])
        while True:
            left, right = place >> half, place & mask
            for turn in range(ROUNDS):
                mixed = right + key + np.uint64(turn) * STEP  # splitmix64 (Steele, Lea and Flood 2014)
                mixed = (mixed ^ (mixed >> np.uint64(30))) * FACTORS[0]
                mixed = (mixed ^ (mixed >> np.uint64(27))) * FACTORS[1]
                left, right = right, left ^ (mixed >> np.uint64(33)) & mask
            place = left << half | right
            if place < np.uint64(n):
                break
        moved[i] = np.int64(place)
    return moved
