"""Search by meaning, without a model from elsewhere: TF-IDF of the terms, brought to few dimensions by a truncated SVD of the corpus.

Chunks and queries whose words keep the same company come close to each other (latent semantic analysis). Files: `svd_terms.npy` i32 [T]
(term ids of the columns: the commonest), `svd_idf.npy` f32 [T], `svd_components.npy` f32 [D, T].

Sources: Deerwester et al. 1990, "Indexing by Latent Semantic Analysis"; Halko, Martinsson & Tropp 2011, algorithm 4.4; weights
(1 + ln tf) * (1 + ln((1 + N) / (1 + n))), rows of length 1, as in scikit-learn. On one thread, so that it gives the same bytes
whatever the number of cores.

C chunks, T terms, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from threadpoolctl import threadpool_limits

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]

LEAST = 2
"""Columns that the decomposition asks for: where a corpus has one term alone, the second is empty."""


@dataclass(frozen=True)
class Svd:
    column: dict[int, int]
    """Term id -> column."""
    idf: F32
    """f32 [T]."""
    components: F32
    """f32 [D, T]."""

    def vector(self, ids: Sequence[int]) -> F32:
        """f32 [D] of a query, of length 1; or 0 where no term is known."""
        known = [self.column[one] for one in ids if one in self.column]
        columns, times = np.unique(np.array(known, np.int64), return_counts=True)
        weights = (1 + np.log(times)).astype(np.float32) * self.idf[columns]
        vector: F32 = unit((self.components[:, columns] @ weights)[None])[0]
        return vector


def unit(vectors_CD: F32) -> F32:
    """Rows of length 1; rows of zeros stay."""
    lengths_C = np.linalg.norm(vectors_CD, axis=1, keepdims=True)
    made: F32 = (vectors_CD / np.where(lengths_C > 0, lengths_C, 1)).astype(np.float32)
    return made


def build(counted: list[list[int]], dimensions: int, most_terms: int, seed: int, folder: Path) -> F32:
    """Write the files to `folder`. Back: the chunks' vectors, f32 [C, D], of length 1; fewer dimensions where the corpus has fewer."""
    counts_CT, terms_T = count(counted, most_terms)
    weigh = TfidfTransformer(sublinear_tf=True)
    weighed_CT = weigh.fit_transform(counts_CT)
    svd = TruncatedSVD(min(dimensions, *weighed_CT.shape), algorithm="randomized", n_iter=5, random_state=seed)
    with threadpool_limits(1), np.errstate(invalid="ignore"):  # of one chunk the explained share of the variance is 0 / 0
        vectors_CD = unit(svd.fit_transform(weighed_CT))
    np.save(folder / "svd_terms.npy", terms_T)
    np.save(folder / "svd_idf.npy", weigh.idf_.astype(np.float32))
    np.save(folder / "svd_components.npy", svd.components_.astype(np.float32))
    return vectors_CD


def count(counted: list[list[int]], most_terms: int) -> tuple[csr_array, I32]:
    """How often each chunk has each of the chosen terms, f32 [C, T], and the ids of these terms, i32 [T], ascending."""
    lengths = np.fromiter(map(len, counted), np.int64, len(counted))
    ids = np.fromiter((one for chunk in counted for one in chunk), np.int32, int(lengths.sum()))
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    all_CT = csr_array((np.ones(len(ids), np.float32), ids, indptr), shape=(len(counted), max(int(ids.max()) + 1, LEAST)))
    all_CT.sum_duplicates()
    chunks_with = np.bincount(all_CT.indices, minlength=all_CT.shape[1])
    chosen = np.sort(np.argsort(-chunks_with, kind="stable")[:most_terms]).astype(np.int32)
    return all_CT[:, chosen], chosen


def load(folder: Path) -> Svd:
    terms, idf, components = (np.load(folder / f"svd_{name}.npy", mmap_mode="r") for name in ("terms", "idf", "components"))
    return Svd({int(one): column for column, one in enumerate(terms)}, idf, components)
