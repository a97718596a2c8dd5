"""Gradient-boosted trees as flat arrays, and their prediction.

    tree t     nodes starts[t] .. starts[t + 1], its root first; no leaf lies deeper than depths[t]
    node k     on to child[2 k] where x[feature[k]] <= threshold[k], else to child[2 k + 1]; a leaf leads to itself

All blocks go down a tree together, a level at a time: a loop without branches, which the compiler turns into vector instructions. The indices
are unsigned, since signed ones would have to be checked for counting from the end.
Friedman, "Greedy Function Approximation: A Gradient Boosting Machine" (2001).
"""

from typing import NamedTuple

import numpy as np

from stages.extraction.compiled import compiled_bare


class Trees(NamedTuple):
    starts: np.ndarray  # uint32[trees + 1]
    depths: np.ndarray  # uint32[trees]
    feature: np.ndarray  # uint32[nodes]; anything for a leaf
    threshold: np.ndarray  # float32[nodes]; anything for a leaf
    child: np.ndarray  # uint32[2 * nodes]
    value: np.ndarray  # float32[nodes]; 0 but for leaves


# Most of a page's blocks are plainly navigation, and 40 trees know it: below this score the others are not asked. In cross-validation one block
# in six thousand that was dropped so would have come to a share of an eighth.
_CHECKED = 20
_HOPELESS = np.float32(-2.5)


def predict(trees: Trees, x: np.ndarray) -> np.ndarray:
    """float32[b]: the expected share of main text in each of the blocks x[b, f], which lies in memory row by row."""
    blocks, features = x.shape
    score = np.zeros(blocks, np.float32)
    rows = np.arange(blocks, dtype=np.uint32) * np.uint32(features)
    _predict(*trees, x.reshape(-1), score, rows, np.arange(blocks, dtype=np.uint32), np.empty(blocks, np.uint32))
    return np.asarray(1 / (1 + np.exp(-score)), np.float32)


@compiled_bare
def _predict(starts, depths, feature, threshold, child, value, x, score, rows, asked, at):  # type: ignore[no-untyped-def]
    """`rows[a]`, `asked[a]`: where block asked[a] begins in `x`; `at`: the node that each has come to."""
    count = asked.shape[0]
    for t in range(depths.shape[0]):
        for a in range(count):
            at[a] = starts[t]
        for _ in range(depths[t]):
            for a in range(count):
                node = at[a]
                branch = np.uint32(2) * node
                if x[rows[a] + feature[node]] > threshold[node]:
                    branch += np.uint32(1)
                at[a] = child[branch]
        for a in range(count):
            score[asked[a]] += value[at[a]]
        if (t + 1) % _CHECKED == 0:
            left = 0
            for a in range(count):
                if score[asked[a]] > _HOPELESS:
                    asked[left], rows[left] = asked[a], rows[a]
                    left += 1
            count = left
