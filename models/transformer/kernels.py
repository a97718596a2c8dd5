"""What lies between the matrix products of one decoding step, on a CPU in fp32: one pass over memory where PyTorch takes five to thirty calls.

| kernel | does | PyTorch / this, in microseconds at 16 rows of preset small, one core |
|---|---|---|
| `norm` | adds to the residual stream, then RMSNorm | 12 / 2 |
| `place` | QK-norm and rotation of queries and keys, keys and values into the cache | 45 / 10 |
| `attend` | attention of one position for each row, over the row's own columns | 280 / 110 (128 columns) |
| `product` | a matrix times a single row | 27 / 40 GB/s at most |

Each row is computed by itself, in the same order whatever lies beside it. Compiled at the first call and kept on disk (numba). Sums are
taken in the vector's order (`reassoc`), which is fixed when the code is compiled.

B rows, D width, H query heads, K key-value heads, G = H / K, C numbers per head, S columns, F outputs.
"""

from typing import Any

import numba
import numpy as np

_FAST = {"reassoc", "contract", "nsz", "arcp"}  # not nnan and ninf: a damaged model must show


@numba.njit(cache=True, fastmath=_FAST)  # type: ignore[untyped-decorator]
def norm(x_BD: Any, added_BD: Any, weight_D: Any, eps: Any, out_BD: Any) -> None:
    """x += added (None: nothing), in place; out = RMSNorm(x)."""
    B, D = x_BD.shape
    for row in range(B):
        squares = np.float32(0)
        for d in range(D):
            if added_BD is not None:
                x_BD[row, d] += added_BD[row, d]
            squares += x_BD[row, d] * x_BD[row, d]
        scale = np.float32(1) / np.sqrt(squares / np.float32(D) + eps)
        for d in range(D):
            out_BD[row, d] = x_BD[row, d] * scale * weight_D[d]


@numba.njit(cache=True, fastmath=_FAST)  # type: ignore[untyped-decorator]
def place(qkv: Any, weight: Any, eps: Any, cos: Any, sin: Any, k_BKSC: Any, v_BKSC: Any, filled_B: Any) -> None:
    """The last of a row's `filled` columns is written; the queries in qkv [B, (H + 2K) * C] are normed and turned in place.

    `weight` [H + K, C], or None without QK-norm; `cos` and `sin` [T, C], or None without rotation.
    """
    B = qkv.shape[0]
    K, C = k_BKSC.shape[1], k_BKSC.shape[3]
    half = C // 2
    queries = qkv.shape[1] // C - 2 * K
    for row in range(B):
        at = filled_B[row] - 1
        for head in range(queries + K):
            x = qkv[row, head * C : (head + 1) * C]
            if weight is not None:
                squares = np.float32(0)
                for c in range(C):
                    squares += x[c] * x[c]
                scale = np.float32(1) / np.sqrt(squares / np.float32(C) + eps)
                for c in range(C):
                    x[c] = x[c] * scale * weight[head, c]
            if cos is not None:
                for c in range(half):
                    low, high = x[c], x[half + c]
                    x[c] = low * cos[at, c] - high * sin[at, c]
                    x[half + c] = high * cos[at, c] + low * sin[at, c]
            if head >= queries:
                k_BKSC[row, head - queries, at] = x
        for head in range(K):
            start = (queries + K + head) * C
            v_BKSC[row, head, at] = qkv[row, start : start + C]


@numba.njit(cache=True, fastmath=_FAST, inline="always")  # type: ignore[untyped-decorator]
def _exp(x: Any) -> Any:
    """e^x for x <= 0 to 2e-7 of itself, without branches, so that it becomes vector code (polynomial of Cephes, expf)."""
    x = max(x, np.float32(-87))
    n = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
    x = x - n * np.float32(0.693359375) - n * np.float32(-2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * x + np.float32(1.3981999507e-3)
    p = p * x + np.float32(8.3334519073e-3)
    p = p * x + np.float32(4.1665795894e-2)
    p = p * x + np.float32(1.6666665459e-1)
    p = p * x + np.float32(5.0000001201e-1)
    p = p * x * x + x + np.float32(1)
    return p * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


@numba.njit(cache=True, fastmath=_FAST)  # type: ignore[untyped-decorator]
def attend(qkv: Any, k_BKSC: Any, v_BKSC: Any, filled_B: Any, scale: Any, scores_S: Any, out: Any) -> None:
    """out [B, H * C] from the queries in qkv [B, (H + 2K) * C]; `scores_S` is room for the numbers of one head."""
    B = qkv.shape[0]
    K, C = k_BKSC.shape[1], k_BKSC.shape[3]
    G = out.shape[1] // C // K
    for row in range(B):
        S = filled_B[row]
        for head in range(K):
            k_SC, v_SC = k_BKSC[row, head], v_BKSC[row, head]
            for query in range(head * G, (head + 1) * G):
                q_C, out_C = qkv[row, query * C : (query + 1) * C], out[row, query * C : (query + 1) * C]
                best = np.float32(-np.inf)
                for s in range(S):
                    score = np.float32(0)
                    for c in range(C):
                        score += q_C[c] * k_SC[s, c]
                    scores_S[s] = score * scale
                    best = max(best, scores_S[s])
                total = np.float32(0)
                for s in range(S):
                    share = _exp(scores_S[s] - best)
                    scores_S[s] = share
                    total += share
                whole = np.float32(1) / total
                for c in range(C):
                    out_C[c] = np.float32(0)
                for s in range(S):
                    share = scores_S[s] * whole
                    for c in range(C):
                        out_C[c] += share * v_SC[s, c]


@numba.njit(cache=True, fastmath=_FAST)  # type: ignore[untyped-decorator]
def product(weight_FD: Any, x_D: Any, out_F: Any) -> None:
    for f in range(weight_FD.shape[0]):
        total = np.float32(0)
        for d in range(weight_FD.shape[1]):
            total += weight_FD[f, d] * x_D[d]
        out_F[f] = total
