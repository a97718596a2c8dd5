"""How good an extracted text is: precision, recall and F1 over words, as a multiset, macro over pages.

Where the gold text is empty, a page counts 1 if nothing was extracted and 0 otherwise.
Source: the word-level scores of the article extraction benchmarks (Bevendorff et al., "An Empirical Comparison of Web Content Extraction Algorithms",
SIGIR 2023), on `\\w+` of the text in small letters.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_WORD = re.compile(r"\w+")


class Score(NamedTuple):
    precision: float
    recall: float
    f1: float


def score(text: str, gold: str) -> Score:
    return score_of(words(text), words(gold))


def words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text.lower()))


def score_of(found: Counter[str], wanted: Counter[str]) -> Score:
    if not wanted or not found:
        empty = float(not wanted and not found)
        return Score(empty, empty, empty)
    common = (found & wanted).total()
    precision, recall = common / found.total(), common / wanted.total()
    return Score(precision, recall, 2 * precision * recall / (precision + recall) if common else 0.0)


def interval(differences: Sequence[float], samples: int = 2_000, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean of paired differences, by the bootstrap (Efron 1979)."""
    values = np.asarray(differences)
    random = np.random.default_rng(seed)
    means = values[random.integers(0, len(values), (samples, len(values)))].mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
