"""Finding a byte, eight at a time: scripts and attribute values are most of a page, and nobody reads them.

A 64-bit word holds a zero byte if (w - 0x01..01) & ~w & 0x80..80 is not zero; xor makes the wanted byte the zero.
Source: Warren, Hacker's Delight, 2nd edition, section 6-1.
"""

import numpy as np
from numba import njit

_ONES = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)


def words_of(page: np.ndarray) -> np.ndarray:
    """uint64[n // 8] over the same memory as uint8[n]; unaligned where `page` is."""
    return page[: page.shape[0] // 8 * 8].view(np.uint64)


@njit(inline="always")
def find(page, words, i, wanted):  # type: ignore[no-untyped-def]
    """The first place from `i` on where `page` holds the byte `wanted`; its length where there is none."""
    n = page.shape[0]
    while i < n and i & 7:
        if page[i] == wanted:
            return i
        i += 1
    pattern = np.uint64(wanted) * _ONES
    w = i >> 3
    while w < words.shape[0]:
        x = words[w] ^ pattern
        if (x - _ONES) & ~x & _HIGH:
            break
        w += 1
    i = max(i, w << 3)
    while i < n and page[i] != wanted:
        i += 1
    return i
