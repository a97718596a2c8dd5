"""Blocks of 32 numbers with a scale each: Q4_0, Q5_0, Q8_0, and with a minimum too: Q4_1, Q5_1.

In: rows of fp32 whose length is a multiple of 32, and for each column its importance, or None. Out: the blocks, uint8:

| kind | a number is | bytes, one behind the other |
|---|---|---|
| Q8_0 | d * level | d (fp16); 8-bit levels: 32 |
| Q4_0, Q5_0 | d * (level - 8 or 16) | d; fifth bits: 4 (Q5 alone); lower four bits: 16, the first half's low, the second half's high |
| Q4_1, Q5_1 | d * level + m | d, m; the same |

Without importance the block's largest number decides its scale; with it, scale and minimum are searched (search.py) with weights
importance * sqrt(mean(x^2) of the row + x^2). Q8_0 takes no importance. Source: ggml, ggml-quants.c; bytes equal ggml's.

R rows, W columns, N blocks.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from models.quantization.compiled import compiled
from models.quantization.search import scale_and_minimum, signed_scale

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

F0, F1 = np.float32(0), np.float32(1)
HALF = np.float32(0.5)


def q8_0(x_RW: Floats) -> Bytes:
    d_N, levels_N32 = _room(x_RW)
    _round_eight(x_RW.reshape(-1, 32), d_N, levels_N32)
    return np.concatenate((_half(d_N), levels_N32), axis=1)


def scaled(x_RW: Floats, importance_W: Floats | None, bits: int) -> Bytes:
    """Q4_0 or Q5_0."""
    d_N, levels_N32 = _room(x_RW)
    top = np.float32(2 ** (bits - 1))
    if importance_W is None:
        _round_scaled(x_RW.reshape(-1, 32), top, d_N, levels_N32)
    else:
        _search_scaled(x_RW, importance_W, top, d_N, levels_N32)
    return np.concatenate((_half(d_N), _nibbles(levels_N32, bits)), axis=1)


def shifted(x_RW: Floats, importance_W: Floats | None, bits: int) -> Bytes:
    """Q4_1 or Q5_1."""
    d_N, levels_N32 = _room(x_RW)
    m_N = np.empty_like(d_N)
    top = np.float32(2**bits - 1)
    if importance_W is None:
        _round_shifted(x_RW.reshape(-1, 32), top, d_N, m_N, levels_N32)
    else:
        _search_shifted(x_RW, importance_W, top, d_N, m_N, levels_N32)
    return np.concatenate((_half(d_N), _half(m_N), _nibbles(levels_N32, bits)), axis=1)


def _room(x_RW: Floats) -> tuple[Floats, Bytes]:
    count = x_RW.size // 32
    return np.empty(count, np.float32), np.empty((count, 32), np.uint8)


def _half(numbers_N: Floats) -> Bytes:
    return numbers_N.astype(np.float16)[:, None].view(np.uint8)


def _nibbles(levels_N32: Bytes, bits: int) -> Bytes:
    low_N16: Bytes = np.bitwise_or(levels_N32[:, :16] & 15, levels_N32[:, 16:] << 4)
    if bits == 4:
        return low_N16
    return np.concatenate((np.packbits(levels_N32 >> 4, axis=1, bitorder="little"), low_N16), axis=1)


@compiled
def _round_eight(x_N32: Any, d_N: Any, levels_N32: Any) -> None:
    for n in range(len(x_N32)):
        largest = F0
        for i in range(32):
            largest = max(largest, abs(x_N32[n, i]))
        d_N[n] = largest / np.float32(127)
        inverse = F1 / d_N[n] if d_N[n] != F0 else F0
        for i in range(32):
            level = x_N32[n, i] * inverse
            size = np.floor(abs(level))  # C's roundf: a half goes away from zero
            if abs(level) - size >= HALF:
                size += F1
            levels_N32[n, i] = np.uint8(np.int8(size if level >= F0 else -size))


@compiled
def _round_scaled(x_N32: Any, top: Any, d_N: Any, levels_N32: Any) -> None:
    for n in range(len(x_N32)):
        largest, extreme = F0, F0
        for i in range(32):
            if largest < abs(x_N32[n, i]):
                largest, extreme = abs(x_N32[n, i]), x_N32[n, i]
        d_N[n] = extreme / -top
        inverse = F1 / d_N[n] if d_N[n] != F0 else F0
        for i in range(32):
            levels_N32[n, i] = np.uint8(min(top + top - F1, np.floor(x_N32[n, i] * inverse + (top + HALF))))


@compiled
def _round_shifted(x_N32: Any, top: Any, d_N: Any, m_N: Any, levels_N32: Any) -> None:
    for n in range(len(x_N32)):
        low, high = x_N32[n, 0], x_N32[n, 0]
        for i in range(1, 32):
            if x_N32[n, i] < low:
                low = x_N32[n, i]
            if x_N32[n, i] > high:
                high = x_N32[n, i]
        d_N[n], m_N[n] = (high - low) / top, low
        inverse = F1 / d_N[n] if d_N[n] != F0 else F0
        for i in range(32):
            levels_N32[n, i] = np.uint8(min(top, np.floor((x_N32[n, i] - low) * inverse + HALF)))


@compiled
def _weigh(x_W: Any, importance_W: Any, weights_W: Any) -> None:
    squares = F0
    for i in range(len(x_W)):
        squares += x_W[i] * x_W[i]
    spread = squares / np.float32(len(x_W))
    for i in range(len(x_W)):
        weights_W[i] = importance_W[i] * np.sqrt(spread + x_W[i] * x_W[i])


@compiled
def _search_scaled(x_RW: Any, importance_W: Any, top: Any, d_N: Any, levels_N32: Any) -> None:
    rows, width = x_RW.shape
    weights_W, levels = np.empty(width, np.float32), np.empty(32, np.float32)
    for row in range(rows):
        _weigh(x_RW[row], importance_W, weights_W)
        for block in range(width // 32):
            n, at = row * (width // 32) + block, 32 * block
            d_N[n] = signed_scale(x_RW[row, at : at + 32], weights_W[at : at + 32], top, levels)
            for i in range(32):
                levels_N32[n, i] = np.uint8(levels[i])


@compiled
def _search_shifted(x_RW: Any, importance_W: Any, top: Any, d_N: Any, m_N: Any, levels_N32: Any) -> None:
    rows, width = x_RW.shape
    weights_W, levels, tried = np.empty(width, np.float32), np.empty(32, np.float32), np.empty(32, np.float32)
    first, delta = np.float32(-0.9), np.float32(0.05)
    for row in range(rows):
        _weigh(x_RW[row], importance_W, weights_W)
        for block in range(width // 32):
            n, at = row * (width // 32) + block, 32 * block
            x, weights = x_RW[row, at : at + 32], weights_W[at : at + 32]
            d_N[n], minimum = scale_and_minimum(x, weights, top, first, delta, 36, levels, tried)
            m_N[n] = -minimum
            for i in range(32):
                levels_N32[n, i] = np.uint8(levels[i])
