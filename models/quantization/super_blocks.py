"""Super-blocks of 256 numbers, whose groups have scales that are small integers themselves: Q4_K, Q5_K, Q6_K (the "K-quants" of
GGUF).

In: rows of fp32 whose length is a multiple of 256, and for each column its importance, or None. Out: the blocks, uint8:

| kind | groups | a number is | bytes, one behind the other |
|---|---|---|---|
| Q4_K | 8 of 32 | d * scale * level - m * minimum | d, m (fp16); 6-bit scales and minima: 12; 4-bit levels: 128 |
| Q5_K | 8 of 32 | the same | d, m; 12; the levels' fifth bits: 32; their other four: 128 |
| Q6_K | 16 of 16 | d * scale * (level - 32) | the levels' lower four bits: 128, upper two: 64; 8-bit scales: 16; d (fp16) |

First all groups of a row are searched (search.py), then d and m are rounded to fp16 and the levels taken anew with what the
rounding left. Without importance a number's weight is |x| + the group's root mean square (Q4_K, Q5_K) or x^2 (Q6_K); with it,
importance * sqrt(2 mean(x^2) + x^2), or the importance itself (Q6_K). Source: ggml, ggml-quants.c; bytes equal ggml's.

N super-blocks, W columns in importance.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from models.quantization.compiled import compiled
from models.quantization.search import NOTHING, positive_scale, scale_and_minimum, signed_scale

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

F0, F1 = np.float32(0), np.float32(1)
SIX_BITS = np.float32(63)


def q4_k(x_N256: Floats, importance_W: Floats | None) -> Bytes:
    out_NB = np.empty((len(x_N256), 144), np.uint8)
    levels_N256 = _with_minima(x_N256, importance_W, 15, out_NB)
    pairs_N4_2_32 = levels_N256.reshape(-1, 4, 2, 32)
    out_NB[:, 16:] = (pairs_N4_2_32[:, :, 0] | pairs_N4_2_32[:, :, 1] << 4).reshape(-1, 128)
    return out_NB


def q5_k(x_N256: Floats, importance_W: Floats | None) -> Bytes:
    out_NB = np.empty((len(x_N256), 176), np.uint8)
    levels_N256 = _with_minima(x_N256, importance_W, 31, out_NB)
    pairs_N4_2_32 = (levels_N256 & 15).reshape(-1, 4, 2, 32)
    out_NB[:, 16:48] = np.packbits(levels_N256.reshape(-1, 8, 32) >> 4, axis=1, bitorder="little")[:, 0]
    out_NB[:, 48:] = (pairs_N4_2_32[:, :, 0] | pairs_N4_2_32[:, :, 1] << 4).reshape(-1, 128)
    return out_NB


def q6_k(x_N256: Floats, importance_W: Floats | None) -> Bytes:
    count = len(x_N256)
    out_NB = np.empty((count, 210), np.uint8)
    levels_N256, scales_N16, d_N = np.empty((count, 256), np.uint8), np.empty((count, 16), np.int8), np.empty(count, np.float32)
    _search_six(x_N256, *_given(importance_W), scales_N16, d_N, levels_N256)
    half_N = d_N.astype(np.float16)
    _levels_six(x_N256, scales_N16, half_N.astype(np.float32), levels_N256)
    quarters_N2_4_32 = levels_N256.reshape(-1, 2, 4, 32)
    low, high = quarters_N2_4_32 & 15, quarters_N2_4_32 >> 4
    out_NB[:, :128] = (low[:, :, :2] | low[:, :, 2:] << 4).reshape(-1, 128)
    out_NB[:, 128:192] = (high[:, :, 0] | high[:, :, 1] << 2 | high[:, :, 2] << 4 | high[:, :, 3] << 6).reshape(-1, 64)
    out_NB[:, 192:208] = scales_N16.view(np.uint8)
    out_NB[:, 208:] = half_N[:, None].view(np.uint8)
    return out_NB


def _given(importance_W: Floats | None) -> tuple[Floats, bool]:
    return (np.zeros(256, np.float32), False) if importance_W is None else (importance_W, True)


def _with_minima(x_N256: Floats, importance_W: Floats | None, top: int, out_NB: Bytes) -> Bytes:
    """Levels [N, 256]; d, m, scales and minima into the first 16 bytes of `out_NB`."""
    count = len(x_N256)
    levels_N256, packed_N2_8 = np.empty((count, 256), np.uint8), np.empty((count, 2, 8), np.uint8)
    halves_N2 = np.empty((count, 2), np.float32)
    _search_minima(x_N256, *_given(importance_W), np.float32(top), packed_N2_8, halves_N2, levels_N256)
    rounded_N2 = halves_N2.astype(np.float16)
    out_NB[:, :4] = rounded_N2.view(np.uint8)
    scales_N8, minima_N8 = packed_N2_8[:, 0], packed_N2_8[:, 1]
    out_NB[:, 4:8] = scales_N8[:, :4] | (scales_N8[:, 4:] >> 4) << 6
    out_NB[:, 8:12] = minima_N8[:, :4] | (minima_N8[:, 4:] >> 4) << 6
    out_NB[:, 12:16] = scales_N8[:, 4:] & 15 | (minima_N8[:, 4:] & 15) << 4
    # As they are read again: one that has gone round (search.py, `byte`) has more than six bits, and the upper ones fall onto another.
    lower_N4 = out_NB[:, 12:16]
    read_N2_8 = np.stack([_six_bits(out_NB[:, 4:8], lower_N4 & 15), _six_bits(out_NB[:, 8:12], lower_N4 >> 4)], 1)
    _levels_minima(x_N256, read_N2_8, rounded_N2.astype(np.float32), np.float32(top), levels_N256)
    return levels_N256


def _six_bits(first_N4: Any, lower_N4: Any) -> Any:
    """Eight numbers: of the first four all six bits, and above them the upper two of the others."""
    return np.concatenate([first_N4 & 63, lower_N4 | (first_N4 >> 6) << 4], 1)


@compiled
def _search_minima(
    x_N256: Any, importance_W: Any, given: bool, top: Any, packed_N2_8: Any, halves_N2: Any, levels_N256: Any
) -> None:
    weights, levels, tried = np.empty(32, np.float32), np.empty(32, np.float32), np.empty(32, np.float32)
    scales, minima, sums, whole = (
        np.empty(8, np.float32),
        np.empty(8, np.float32),
        np.empty(8, np.float32),
        np.empty(8, np.float32),
    )
    four_bits = top == np.float32(15)
    per_row = len(importance_W) // 256
    for n in range(len(x_N256)):
        spread = F0
        if given:
            squares = F0
            for i in range(256):
                squares += x_N256[n, i] * x_N256[n, i]
            spread = np.float32(2) * squares / np.float32(256)
        for group in range(8):
            x = x_N256[n, 32 * group : 32 * group + 32]
            if given:
                important = importance_W[256 * (n % per_row) + 32 * group :]
                for i in range(32):
                    weights[i] = important[i] * np.sqrt(spread + x[i] * x[i])
                sums[group] = F0
                for i in range(32):
                    sums[group] += weights[i]
                first, delta, steps = np.float32(-0.9), np.float32(0.05), 36
            else:
                squares = F0
                for i in range(32):
                    squares += x[i] * x[i]
                typical = np.sqrt(squares / np.float32(32))
                for i in range(32):
                    weights[i] = typical + abs(x[i])
                first, delta, steps = np.float32(-1 if four_bits else -0.5), np.float32(0.1), 20 if four_bits else 15
            scales[group], minima[group] = scale_and_minimum(x, weights, top, first, delta, steps, levels, tried)
            for i in range(32):
                levels_N256[n, 32 * group + i] = np.uint8(levels[i])
        for which, numbers in enumerate((scales, minima)):
            if given:
                halves_N2[n, which] = positive_scale(numbers, sums, SIX_BITS, whole)
            else:
                high = F0
                for group in range(8):
                    high = max(high, numbers[group])
                inverse = SIX_BITS / high if high > F0 else F0
                for group in range(8):
                    whole[group] = min(SIX_BITS, np.rint(inverse * numbers[group]))
                halves_N2[n, which] = high / SIX_BITS
            for group in range(8):
                packed_N2_8[n, which, group] = np.uint8(whole[group] if four_bits else min(SIX_BITS, whole[group]))


@compiled
def _levels_minima(x_N256: Any, packed_N2_8: Any, halves_N2: Any, top: Any, levels_N256: Any) -> None:
    for n in range(len(x_N256)):
        for group in range(8):
            scale = halves_N2[n, 0] * np.float32(packed_N2_8[n, 0, group])
            if scale == F0:
                continue  # the levels of the search stay
            minimum = halves_N2[n, 1] * np.float32(packed_N2_8[n, 1, group])
            for i in range(32 * group, 32 * group + 32):
                levels_N256[n, i] = np.uint8(max(F0, min(top, np.rint((x_N256[n, i] + minimum) / scale))))


@compiled
def _search_six(x_N256: Any, importance_W: Any, given: bool, scales_N16: Any, d_N: Any, levels_N256: Any) -> None:
    weights, levels, scales = np.empty(16, np.float32), np.empty(16, np.float32), np.empty(16, np.float32)
    per_row = len(importance_W) // 256
    for n in range(len(x_N256)):
        largest, extreme = F0, F0
        for group in range(16):
            x = x_N256[n, 16 * group : 16 * group + 16]
            for i in range(16):
                weights[i] = importance_W[256 * (n % per_row) + 16 * group + i] if given else x[i] * x[i]
            scales[group] = signed_scale(x, weights, np.float32(32), levels)
            if abs(scales[group]) > largest:
                largest, extreme = abs(scales[group]), scales[group]
            for i in range(16):
                levels_N256[n, 16 * group + i] = np.uint8(levels[i])
        if largest < NOTHING:
            d_N[n] = F0
            scales_N16[n] = 0
            levels_N256[n] = 0
            continue
        inverse = np.float32(-128) / extreme
        d_N[n] = F1 / inverse
        for group in range(16):
            scales_N16[n, group] = np.int8(min(np.float32(127), np.rint(inverse * scales[group])))


@compiled
def _levels_six(x_N256: Any, scales_N16: Any, d_N: Any, levels_N256: Any) -> None:
    for n in range(len(x_N256)):
        for group in range(16):
            scale = d_N[n] * np.float32(scales_N16[n, group])
            if scale == F0:
                continue
            for i in range(16 * group, 16 * group + 16):
                levels_N256[n, i] = np.uint8(
                    max(np.float32(-32), min(np.float32(31), np.rint(x_N256[n, i] / scale))) + np.float32(32)
                )
