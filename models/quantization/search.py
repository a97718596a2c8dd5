"""The search for a group's scale: small integers times a scale (plus a minimum) that come closest to the numbers, each with its
weight.

| search | numbers are | for |
|---|---|---|
| signed_scale | scale * level, -N <= level < N | Q6_K; Q4_0, Q5_0 by importance |
| scale_and_minimum | scale * level - minimum, 0 <= level <= N | Q4_K, Q5_K; Q4_1, Q5_1 by importance |
| positive_scale | scale * level, 0 <= level <= N | the scales and minima of Q4_K and Q5_K by importance |

Each tries scales around the obvious one, rounds to levels, and keeps what a weighted least-squares fit likes best. Order of
operations, steps and tie-breaks are those of ggml (ggml-quants.c: make_qx_quants, make_qkx2_quants, make_qkx3_quants,
make_qp_quants), to the bit. Levels are kept as fp32: whole numbers, so that nothing is converted on the way."""

from typing import Any

import numpy as np

from models.quantization.compiled import compiled

F0, F1 = np.float32(0), np.float32(1)
TENTH = np.float32(0.1)
NOTHING = np.float32(1e-15)
"""Groups whose numbers are all smaller count as zero."""


@compiled
def signed_scale(x: Any, weights: Any, top: Any, levels: Any) -> Any:
    """The scale; levels + `top` into `levels`. `top` is N."""
    n = len(x)
    largest, extreme = F0, F0
    for i in range(n):
        if abs(x[i]) > largest:
            largest, extreme = abs(x[i]), x[i]
    if largest < NOTHING:
        levels[:] = F0
        return F0
    inverse = -top / extreme
    sum_xl, sum_ll = F0, F0
    for i in range(n):
        level = max(-top, min(top - F1, np.rint(inverse * x[i])))
        levels[i] = level + top
        sum_xl += weights[i] * x[i] * level
        sum_ll += weights[i] * level * level
    scale = sum_xl / sum_ll if sum_ll != F0 else F0
    best = scale * sum_xl
    for step in range(-9, 10):
        if step == 0:
            continue
        inverse = -(top + TENTH * np.float32(step)) / extreme
        sum_xl, sum_ll = F0, F0
        for i in range(n):
            level = max(-top, min(top - F1, np.rint(inverse * x[i])))
            sum_xl += weights[i] * x[i] * level
            sum_ll += weights[i] * level * level
        if sum_ll > F0 and sum_xl * sum_xl > best * sum_ll:
            for i in range(n):
                levels[i] = max(-top, min(top - F1, np.rint(inverse * x[i]))) + top
            scale = sum_xl / sum_ll
            best = scale * sum_xl
    return scale


@compiled
def scale_and_minimum(x: Any, weights: Any, top: Any, first: Any, delta: Any, steps: Any, levels: Any, tried: Any) -> Any:
    """(scale, minimum); levels into `levels`. Tries (`top` + `first` + k * `delta`) / range, k = 0 .. `steps`; `tried` is room."""
    n = len(x)
    low, high = x[0], x[0]
    sum_w = weights[0]
    sum_x = sum_w * x[0]
    for i in range(1, n):
        if x[i] < low:
            low = x[i]
        if x[i] > high:
            high = x[i]
        sum_w += weights[i]
        sum_x += weights[i] * x[i]
    if low > F0:
        low = F0
    if high <= low:
        levels[:] = F0
        return F0, -low
    inverse = top / (high - low)
    scale = F1 / inverse
    best = F0
    for i in range(n):
        levels[i] = max(F0, min(top, np.rint(inverse * (x[i] - low))))
        off = scale * levels[i] + low - x[i]
        best += weights[i] * (off * off)
    for step in range(steps + 1):
        inverse = (first + delta * np.float32(step) + top) / (high - low)
        sum_l, sum_ll, sum_xl = F0, F0, F0
        for i in range(n):
            level = max(F0, min(top, np.rint(inverse * (x[i] - low))))
            tried[i] = level
            weighted = weights[i] * level
            sum_l += weighted
            sum_ll += weighted * level
            sum_xl += weighted * x[i]
        determinant = sum_w * sum_ll - sum_l * sum_l
        if determinant > F0:
            new_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant
            new_low = (sum_ll * sum_x - sum_l * sum_xl) / determinant
            if new_low > F0:
                new_low = F0
                new_scale = sum_xl / sum_ll
            error = F0
            for i in range(n):
                off = new_scale * tried[i] + new_low - x[i]
                error += weights[i] * (off * off)
            if error < best:
                levels[:] = tried
                best, scale, low = error, new_scale, new_low
    return scale, -low


@compiled
def positive_scale(x: Any, weights: Any, top: Any, levels: Any) -> Any:
    """The scale; levels into `levels`, after a few rounds that move single levels."""
    n = len(x)
    high = F0
    for i in range(n):
        high = max(high, x[i])
    if high < NOTHING:
        levels[:] = F0
        return F0
    inverse = top / high
    scale = F1 / inverse
    best = F0
    for i in range(n):
        off = x[i] - scale * byte(np.rint(inverse * x[i]))
        best += weights[i] * off * off
    for step in range(-4, 5):
        if step == 0:
            continue
        tried = (TENTH * np.float32(step) + top) / high
        scale = F1 / tried
        error = F0
        for i in range(n):
            off = x[i] - scale * min(top, np.rint(tried * x[i]))
            error += weights[i] * off * off
        if error < best:
            best, inverse = error, tried
    sum_xl, sum_ll = F0, F0
    for i in range(n):
        level = min(top, np.rint(inverse * x[i]))
        levels[i] = byte(level)
        sum_xl += weights[i] * x[i] * level
        sum_ll += weights[i] * level * level
    for _ in range(5):
        moved = False
        for i in range(n):
            xl = sum_xl - weights[i] * x[i] * levels[i]
            ll = sum_ll - weights[i] * levels[i] * levels[i]
            if xl > F0 and ll > F0:
                level = min(top, np.rint(x[i] * ll / xl))
                if level != levels[i]:
                    xl += weights[i] * x[i] * level
                    ll += weights[i] * level * level
                    if xl * xl * sum_ll > sum_xl * sum_xl * ll:
                        levels[i], sum_xl, sum_ll = byte(level), xl, ll
                        moved = True
        if not moved:
            break
    return sum_xl / sum_ll if sum_ll > F0 else F0


@compiled
def byte(level: Any) -> Any:
    """A level as it is kept: where almost all importance is 0, a number that ought to be positive is negative now and then, and goes round."""
    return np.float32(np.int32(level) & 255)
