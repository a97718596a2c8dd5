"""Which documents are kept for validation: decided by what a document says, so that its copies lie on the same side.

In: for each document the hash of its letters (`Words.texts`) and, where known, its cluster of near-duplicates. Out: "train" or
"validation".

Copies that differ in case, punctuation, accents or white space have one hash, in whatever corpus and whatever order they come. All
documents of a near-duplicate cluster follow the document that stands for it. No other near-copy is looked for: remove those first.
"""

from __future__ import annotations

import polars as pl
from xxhash import xxh64_intdigest

from stages.tokens.folded import U64

TRAIN, VALIDATION = "train", "validation"


def split(texts: U64, clusters: pl.Series | None, share: float) -> pl.Series:
    """TRAIN or VALIDATION for each document. `clusters`: strings, null for a document without near-duplicates."""
    keys = pl.Series(texts) if clusters is None else _by_cluster(texts, clusters)
    # The last step of a hash over letters leaves its low bits the best mixed; a product brings them to the top, where they decide.
    mixed = keys.to_numpy() * 0xD6E8FEB86659FD93
    return pl.Series("split", mixed < share * 2.0**64).replace_strict({True: VALIDATION, False: TRAIN}, return_dtype=pl.String)


def _by_cluster(texts: U64, clusters: pl.Series) -> pl.Series:
    hashes = [None if cluster is None else xxh64_intdigest(cluster) for cluster in clusters]
    return pl.Series(hashes, dtype=pl.UInt64).fill_null(pl.Series(texts))
