"""Search in an index: by words, by meaning, or by both.

| method | score | ranks by |
|---|---|---|
| keyword | BM25 | terms in common, rare ones first |
| vector | cosine, -1 .. 1 | nearness of the vectors |
| hybrid | sum of weight / (5 + rank) over both, of the first 100 of each | reciprocal rank fusion |

Source: Cormack, Clarke & Buettcher 2009, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods". Equal
scores: the chunk that comes first in the corpus. A search reads every vector: some 10 ms for 100,000 chunks.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from stages.retrieval import keywords, vectors
from stages.retrieval.embedder import load_embedder
from stages.retrieval.index import CHUNKS, PROBE
from stages.retrieval.keywords import Keywords
from stages.retrieval.terms import terms
from stages.retrieval.vectors import F32
from storage.problem import Problem
from storage.shards import read_parquet

Method = Literal["keyword", "vector", "hybrid"]
METHODS: tuple[Method, ...] = ("keyword", "vector", "hybrid")

FUSION = 5
"""Added to a rank before its reciprocal is taken. With the 60 that is usual, two middling ranks beat one first rank: on the simulated
world the right passage came among two in .51 of questions, with 5 (and OWN) in .91, as by words alone."""
OWN = 0.25
"""Weight of a rank by vectors that were made of the corpus itself, beside one by words; those of an embedding model weigh as much as words."""
DEPTH = 100
SAME_MODEL = 0.999
"""Least cosine of the two vectors of PROBE that one model makes on two machines."""


@dataclass(frozen=True)
class Hit:
    row: int
    """Of the index's chunks."""
    chunk: str
    document: str
    url: str
    title: str | None
    text: str
    start: int
    end: int
    score: float


@dataclass(frozen=True)
class Index:
    """An opened index; its arrays are mapped from their files."""

    chunks: pl.DataFrame
    keywords: Keywords
    vectors: F32
    """f32 [C, D], rows of length 1."""
    vector: Callable[[str], F32]
    """f32 [D] of a query; zeros where nothing of it is known."""
    trust: float
    """Weight of a rank by vectors beside one by words."""


def open_index(folder: Path, embedder: Path | None = None) -> Index:
    """The artifact of the stage INDEX; `embedder` where it was made with one. Raises Problem where files are missing or do not fit."""
    missing = [name for name in ("index.json", "chunks.parquet", "vectors.npy") if not (folder / name).is_file()]
    if missing:
        raise Problem(
            f"{folder} is no index: it has no {', '.join(missing)}. Expected the artifact of the stage `index`; make it anew"
        )
    facts = json.loads((folder / "index.json").read_text())
    chunks = read_parquet(str(folder / "chunks.parquet"), list(CHUNKS))
    words = keywords.load(folder / "keywords")
    vectors_CD = np.load(folder / "vectors.npy", mmap_mode="r")
    if not chunks.height == len(vectors_CD) == facts["chunks"]:
        raise Problem(
            f"{folder}: found {chunks.height} chunks and {len(vectors_CD)} vectors, expected {facts['chunks']} of each; make the index anew"
        )
    if facts["vectors"] == "svd":
        return Index(chunks, words, vectors_CD, _by_terms(words, vectors.load(folder)), OWN)
    by_model = _by_model(folder, embedder, np.array(facts["probe"], np.float32))
    return Index(chunks, words, vectors_CD, by_model, 1.0)


def _by_terms(words: Keywords, svd: vectors.Svd) -> Callable[[str], F32]:
    return lambda query: svd.vector(words.known(terms(query)))


def _by_model(folder: Path, embedder: Path | None, probe_D: F32) -> Callable[[str], F32]:
    if embedder is None:
        raise Problem(
            f"the vectors of {folder} were made with an embedding model; give the folder of that model, or make an index without"
        )
    embed = load_embedder(embedder)
    found_D = embed([PROBE])[0]
    if found_D.shape != probe_D.shape or float(found_D @ probe_D) < SAME_MODEL:
        raise Problem(
            f"{embedder} is another model than the one with which the vectors of {folder} were made; give that one, or make the index anew"
        )
    return lambda query: embed([query])[0]


def search(index: Index, query: str, k: int = 5, method: Method = "hybrid") -> list[Hit]:
    """At most `k` chunks, best first; none that has nothing to do with the query. Raises Problem on an unknown method."""
    if k < 1:
        raise Problem(f"found k = {k}; expected at least one chunk to search for")
    scores = ranked(index, query, k, method)
    rows = index.chunks[list(scores)].iter_rows(named=True)
    return [
        Hit(number, row["chunk"], row["id"], row["url"], row["title"], row["text"], row["start"], row["end"], score)
        for (number, score), row in zip(scores.items(), rows, strict=True)
    ]


def ranked(index: Index, query: str, k: int, method: Method) -> dict[int, float]:
    """Rows of the `k` best chunks -> their scores, best first."""
    if method == "keyword":
        return _best(index.keywords.score(terms(query)), k)
    if method == "vector":
        return _best(index.vectors @ index.vector(query), k)
    if method != "hybrid":
        raise Problem(f"found the search method {method!r}; expected one of {', '.join(METHODS)}")
    fused: defaultdict[int, float] = defaultdict(float)
    for one in ("keyword", "vector"):
        for rank, row in enumerate(ranked(index, query, max(k, DEPTH), one), 1):
            fused[row] += (index.trust if one == "vector" else 1.0) / (FUSION + rank)
    return dict(sorted(fused.items(), key=lambda item: (-item[1], item[0]))[:k])


def _best(scores_C: F32, k: int) -> dict[int, float]:
    """The `k` highest scores above 0, highest first, of equal ones the first."""
    floor = np.partition(scores_C, -k)[-k] if k < len(scores_C) else 0
    rows = np.flatnonzero((scores_C >= floor) & (scores_C > 0))
    rows = rows[np.argsort(-scores_C[rows], kind="stable")][:k]
    return {int(row): float(scores_C[row]) for row in rows}
