"""From a page and its gold text to labels: which share of each block's words belongs to the main text.

Gold texts are no substrings of pages: their makers left out captions, joined lines, lost a word. So the page's words are aligned to the gold's by the
longest common subsequence, in which a match that does not continue a run costs almost all that it gains: a stray "the" in a menu is not
worth a gap. Words beyond CELLS are matched by runs of four words instead, wherever they stand.
"""

import re
from collections.abc import Sequence

import numpy as np

from stages.extraction.compiled import compiled

WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
"""A word, or one ideograph, kana or hangul syllable: what is aligned."""
CELLS = 100_000_000
_RUN = 4
_NEW_RUN = 0.9


def labels(blocks: Sequence[str], gold: str) -> tuple[np.ndarray, np.ndarray, int]:
    """(matched words of each block, its words, words of the gold text): float32[blocks] twice, and a number."""
    numbers: dict[str, int] = {}
    wanted = np.array([numbers.setdefault(word, len(numbers)) for word in WORD.findall(gold.lower())], np.int32)
    words = [[numbers.setdefault(word, len(numbers)) for word in WORD.findall(block.lower())] for block in blocks]
    found = np.array([number for block in words for number in block], np.int32)
    if not len(found) or not len(wanted):
        matched = np.zeros(len(found), np.uint8)
    elif len(found) * len(wanted) > CELLS:
        matched = _runs(found, wanted)
    else:
        matched = _align(found, wanted)
    ends = np.cumsum([0, *map(len, words)])
    sums = np.concatenate([[0], np.cumsum(matched)])
    return (sums[ends[1:]] - sums[ends[:-1]]).astype(np.float32), np.diff(ends).astype(np.float32), len(wanted)


@compiled
def _align(found, wanted):  # type: ignore[no-untyped-def]
    """uint8[found]: 1 for the words of the best alignment. score[i, j] of the first i and j words; run[i, j] of those that end in a match."""
    n, m = found.shape[0], wanted.shape[0]
    score, run = np.zeros(m + 1, np.float32), np.full(m + 1, -9, np.float32)
    next_score, next_run = np.zeros(m + 1, np.float32), np.full(m + 1, -9, np.float32)
    steps = np.zeros((n + 1, m + 1), np.uint8)  # 0 up, 1 left, 2 match; + 4 if the match continues a run
    for i in range(1, n + 1):
        word = found[i - 1]
        for j in range(1, m + 1):
            ends_here, continues = np.float32(-9), 0
            if word == wanted[j - 1]:
                fresh = score[j - 1] - np.float32(_NEW_RUN)
                if run[j - 1] >= fresh:
                    ends_here, continues = run[j - 1] + np.float32(1), 4
                else:
                    ends_here = fresh + np.float32(1)
            next_run[j] = ends_here
            best, step = score[j], 0
            if next_score[j - 1] > best:
                best, step = next_score[j - 1], 1
            if ends_here > best:
                best, step = ends_here, 2
            next_score[j] = best
            steps[i, j] = step | continues
        score, next_score = next_score, score
        run, next_run = next_run, run
    matched = np.zeros(n, np.uint8)
    i, j, in_run = n, m, False
    while i > 0 and j > 0:
        step = steps[i, j]
        if in_run or step & 3 == 2:
            matched[i - 1] = 1
            in_run = step & 4 != 0
            i -= 1
            j -= 1
        elif step & 3 == 1:
            j -= 1
        else:
            i -= 1
    return matched


@compiled
def _runs(found, wanted):  # type: ignore[no-untyped-def]
    """uint8[found]: 1 for the words of runs of four that `wanted` holds too."""
    known = set()
    for j in range(wanted.shape[0] - _RUN + 1):
        known.add(_hash(wanted, j))
    matched = np.zeros(found.shape[0], np.uint8)
    for i in range(found.shape[0] - _RUN + 1):
        if _hash(found, i) in known:
            matched[i : i + _RUN] = 1
    return matched


@compiled
def _hash(words, start):  # type: ignore[no-untyped-def]
    value = np.int64(0)
    for k in range(_RUN):
        value = value * np.int64(1000003) + words[start + k]
    return value
