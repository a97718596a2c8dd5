"""Search by words: BM25 over the terms of each chunk.

Files: what the library bm25s keeps (three arrays of a sparse matrix [chunks, terms] of finished scores, the vocabulary and the settings
as JSON), in a folder of their own.

Sources: Robertson & Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond", with Lucene's inverse document frequency
ln(1 + (N - n + .5) / (n + .5)), which is never negative; Lù 2024, "BM25S".
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
import numpy.typing as npt

logging.getLogger("bm25s").setLevel(logging.WARNING)  # at import it asks for every debug message, whatever the program has set
F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Keywords:
    bm25: Any
    """bm25s.BM25."""
    vocabulary: dict[str, int]

    def known(self, terms: Sequence[str]) -> list[int]:
        """Ids of those terms that the index has."""
        return [self.vocabulary[term] for term in terms if term in self.vocabulary]

    def weights(self, terms: Sequence[str]) -> dict[str, float]:
        """Inverse document frequency of those terms that the index has."""
        ends, chunks = self.bm25.scores["indptr"], self.bm25.scores["num_docs"]
        having = {term: int(ends[one + 1] - ends[one]) for term in terms if (one := self.vocabulary.get(term)) is not None}
        return {term: math.log(1 + (chunks - number + 0.5) / (number + 0.5)) for term, number in having.items()}

    def score(self, terms: Sequence[str]) -> F32:
        """f32 [chunks]; 0 = the chunk has none of the terms."""
        known = self.known(terms)
        if not known:
            return np.zeros(self.bm25.scores["num_docs"], np.float32)
        scores: F32 = self.bm25.get_scores_from_ids(known)
        return scores


def build(counted: list[list[int]], vocabulary: dict[str, int], k1: float, b: float, folder: Path) -> None:
    """Write the index of chunks, given as lists of term ids with repetitions, to `folder`. Ids are 0, 1, 2 ..., in the order of the vocabulary."""
    bm25 = bm25s.BM25(k1=k1, b=b, method="lucene")
    bm25.index((counted, vocabulary), create_empty_token=False, show_progress=False)
    bm25.save(str(folder), show_progress=False)


def load(folder: Path) -> Keywords:
    bm25 = bm25s.BM25.load(str(folder), mmap=True, load_corpus=False)
    return Keywords(bm25, bm25.vocab_dict)
