"""Which blocks to keep: those that maximise the page's expected F1.

With p_i the share of block i's n_i words that belong to the main text, keeping the set K has expected precision about sum_K p n / sum_K n
and recall sum_K p n / sum p n, hence F1(K) = 2 sum_K p n / (sum_K n + sum p n). For each size of K the best is the one of the highest p, so the optimum is a
threshold on p, and it lies at half of the best F1 itself. The F1 reached is the page's confidence.
Source: Lewis, "Evaluating and Optimizing Autonomous Text Classification Systems" (SIGIR 1995); Ye et al., "Optimizing F-measure" (ICML 2012).
"""

import numpy as np

from stages.extraction.compiled import compiled

LOWEST, HIGHEST = 0.12, 0.6
"""Bounds of the threshold: a page of nothing but doubtful blocks gives little text, a certain one keeps its doubtful rest out."""


@compiled
def best_threshold(p, words):  # type: ignore[no-untyped-def]
    """(threshold, expected F1) for p float32[b], words int32[b]."""
    order = np.argsort(-p)
    expected = 0.0
    for i in range(p.shape[0]):
        expected += p[i] * words[i]
    best, threshold, right, kept = 0.0, 0.5, 0.0, 0.0
    for k in range(order.shape[0]):
        i = order[k]
        right += p[i] * words[i]
        kept += words[i]
        f1 = 2 * right / (kept + expected + 1e-9)
        if f1 > best:
            best, threshold = f1, p[i]
    return min(HIGHEST, max(LOWEST, threshold)), best
