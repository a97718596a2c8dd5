"""MinHash signatures: each text as the least of its shingles' hashes under many random permutations.

In: id, text. Out, one row for each row:

| column | type | meaning |
|---|---|---|
| signature | binary | `hashes` little-endian u64, 896 bytes for 112; null where the text has no shingle |
| shingles | i32 | word n-grams of the simplified text, repeated ones counted again |

Two signatures agree in each place with a probability equal to the Jaccard similarity of the two sets of shingles.
`numpy.frombuffer(signature, "<u8")` gives the numbers. A text of fewer words than `ngram` has no shingle, so it is never a
duplicate; datatrove does the same.

Source: Broder 1997, "On the resemblance and containment of documents"; the permutations are datatrove 0.10.1's (seed 1, as in
FineWeb), and so is every bit of the signature. "Permutation" is the field's word: x -> (a x + b mod 2^64) mod p, p = 2^61 - 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Literal

import numba
import numpy as np
import numpy.typing as npt
import polars as pl
import xxhash
from pydantic import Field

from stages.corpus.simplify import simplify
from stages.stage import Config, Sides, Stage

U64 = npt.NDArray[np.uint64]

MERSENNE = np.uint64((1 << 61) - 1)
SPACE = 32


class SignatureConfig(Config):
    """What a signature is made of."""

    ngram: int = Field(5, ge=1, le=50)
    """Words in a shingle (FineWeb: 5)."""
    hashes: int = Field(112, ge=1, le=4096)
    """Hashes in a signature; bands x rows of the clustering need as many (FineWeb: 14 x 8)."""
    hash_fc: Literal["xxhash", "sha1"] = "xxhash"
    """64-bit hash of a shingle: xxh64 (datatrove's default) or the first 8 bytes of SHA-1 (its FineWeb example)."""
    seed: int = Field(1, ge=0, le=2**32 - 1)
    """Seed of the permutations."""


def _sha1(shingle: bytes) -> int:
    return int.from_bytes(hashlib.sha1(shingle).digest()[:8], "little")


HASH: dict[str, Callable[[bytes], int]] = {"xxhash": xxhash.xxh64_intdigest, "sha1": _sha1}


def permutations(config: SignatureConfig) -> tuple[U64, U64]:
    """The multipliers a and addends b, in the form that `datasketch.MinHash(permutations=..., scheme="legacy")` takes."""
    random = np.random.RandomState(config.seed)
    a = random.randint(1, MERSENNE, dtype=np.uint64, size=config.hashes)
    b = random.randint(0, MERSENNE, dtype=np.uint64, size=config.hashes)
    return a, b


def shingles(words: str, config: SignatureConfig) -> U64:
    """The hash of each n-gram of `words`, which are joined by single spaces: u64 [n-grams]."""
    line = words.encode()
    if not line:
        return np.empty(0, np.uint64)
    spaces = np.flatnonzero(np.frombuffer(line, np.uint8) == SPACE)
    starts = [0, *(spaces + 1).tolist()]
    ends = [*spaces.tolist(), len(line)]
    digest = HASH[config.hash_fc]
    return np.array([digest(line[i:j]) for i, j in zip(starts, ends[config.ngram - 1 :], strict=False)], np.uint64)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def least(hashed: U64, a: U64, b: U64) -> Any:
    """The least value of each permutation over the hashed shingles: u64 [hashes].

    As 2^61 = 1 (mod p), the high three bits are added to the rest.
    """
    lowest = np.full(len(a), MERSENNE)
    for x in hashed:
        for h in range(len(a)):
            y = x * a[h] + b[h]  # wraps at 2^64
            y = (y & MERSENNE) + (y >> np.uint64(61))
            y = y - MERSENNE if y >= MERSENNE else y
            lowest[h] = min(lowest[h], y)
    return lowest


def run(docs: pl.DataFrame, config: SignatureConfig, sides: Sides) -> pl.DataFrame:
    """One row of id, signature and number of shingles for each document."""
    a, b = permutations(config)
    hashed = [shingles(words, config) for words in simplify(docs["text"].to_list())]
    signatures = [least(x, a, b).astype("<u8").tobytes() if len(x) else None for x in hashed]
    return docs.select("id").with_columns(
        pl.Series("signature", signatures, pl.Binary),
        pl.Series("shingles", [len(x) for x in hashed], pl.Int32),
    )


SIGNATURES = Stage(
    name="signatures",
    version=1,
    run=run,
    config=SignatureConfig,
    needs={"id": pl.String(), "text": pl.String()},
    keeps=("id",),
    adds={"signature": pl.Binary(), "shingles": pl.Int32()},
)
