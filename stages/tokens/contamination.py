"""Training text that an evaluation set asks about: word n-grams that both have.

In: the words of documents (`folded.py`) and the texts of evaluation sets (`evaluations.py`). Out, for each document:

| | |
|---|---|
| n-grams | places of the document at which an n-gram of an evaluation text begins |
| share | of all its places |
| example | the first one: `file:record: the document's words` |

An evaluation text of fewer than n words is looked for as a whole; one of fewer than `least` words says too little and is not.

Source: Brown et al. 2020, appendix C (13 words; at the least 8); Chowdhery et al. 2022, "PaLM", section 8 (share of the n-grams). Left
out: their leave for n-grams that more than ten training documents have, mostly legal boilerplate, which no document alone can
tell: `max_ngrams` of the stage allows for some; cutting out the place instead of the document.

Memory: 20 bytes for each different n-gram of the evaluation sets. A false agreement takes two n-grams with one 64-bit hash: 10^9 of
training text against 10^7 of evaluations have one with probability 5e-4.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
import polars as pl

from stages.stage import Input
from stages.tokens.evaluations import texts
from stages.tokens.folded import I64, U64, Words, fold

SEED = np.uint64(0x9E3779B97F4A7C15)
FACTOR = np.uint64(0xBF58476D1CE4E5B9)
RECORD_BITS = 40
PREFIXES_A_WORD = 4  # or down to half as many: with three bits each, fewer than 1 % of other places are looked at again
LONGEST_EXAMPLE = 300  # characters


@dataclass(frozen=True)
class Index:
    """G n-grams of evaluation texts, by hash."""

    hashes: U64
    """Sorted, [G]."""
    places: I64
    """For each the first text that has it: number of the file << RECORD_BITS | number of the record, [G]."""
    lengths: I64
    """How many words they have: ascending, of all n-grams."""
    prefixes: U64
    """A Bloom filter of the hashes of their first `least` words: most places are done with at one look."""
    least: int
    """Words that the shortest may have."""
    files: tuple[str, ...]

    def place(self, found: int) -> str:
        """`file:record`; a lone file is left unnamed."""
        number = int(self.places[found])
        name = self.files[number >> RECORD_BITS]
        return f"{name}:{number & (1 << RECORD_BITS) - 1}" if name else f"record {number}"


@dataclass(frozen=True)
class Overlap:
    """For each of N documents."""

    ngrams: I64
    share: Any
    """f64 [N]"""
    examples: list[str | None]


@lru_cache(maxsize=1)
def index(evaluations: Path | Input, n: int, least: int) -> Index:
    """All n-grams of the evaluation texts, and whole texts of `least` to n - 1 words. Raises Problem as `texts` does."""
    least = min(least, n)
    hashes, places, prefixes = [np.empty(0, np.uint64)], [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
    lengths: set[int] = {n}
    files: list[str] = []
    for name, strings, records in texts(evaluations):
        if not files or files[-1] != name:
            files.append(name)
        words = fold(strings)
        counts = np.diff(words.first)
        lengths.update(np.unique(counts[(counts >= least) & (counts < n)]).tolist())
        found, prefix, text = _ngrams(words.hashes, words.first, n, least)
        first = np.sort(np.unique(found, return_index=True)[1])
        hashes.append(found[first])
        prefixes.append(prefix[first])
        places.append(records.to_numpy()[text[first]] | (len(files) - 1) << RECORD_BITS)
    different, at = np.unique(np.concatenate(hashes), return_index=True)
    marks = np.zeros(1 << (len(different) // PREFIXES_A_WORD + 1).bit_length(), np.uint64)
    _mark(marks, np.concatenate(prefixes))
    return Index(different, np.concatenate(places)[at], np.array(sorted(lengths)), marks, least, tuple(files))


def overlap(docs: pl.Series, words: Words, known: Index) -> Overlap:
    """What each of `docs`, whose words are `words`, shares with the evaluation texts."""
    n = int(known.lengths[-1])
    counts, starts, lengths, entries = _find(words.hashes, words.first, known.hashes, known.lengths, known.prefixes, known.least)
    spans = np.maximum(np.diff(words.first) - n + 1, 1)
    examples: list[str | None] = [None] * len(docs)
    for doc in np.flatnonzero(counts).tolist():
        behind = starts[doc] + lengths[doc]
        end = words.begins[behind] if behind < words.first[doc + 1] else None
        said = docs[doc].encode()[words.begins[starts[doc]] : end].decode()
        examples[doc] = f"{known.place(entries[doc])}: {' '.join(said.split())[:LONGEST_EXAMPLE]}"
    return Overlap(counts, np.minimum(counts / spans, 1.0), examples)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _ngrams(hashes: Any, first: Any, n: int, least: int) -> Any:
    """The n-grams of evaluation texts: hash, hash of the first `least` words, number of the text."""
    found, prefixes = np.empty(len(hashes), np.uint64), np.empty(len(hashes), np.uint64)
    text_of = np.empty(len(hashes), np.int64)
    count = 0
    for text in range(len(first) - 1):
        begin, end = first[text], first[text + 1]
        length = min(n, end - begin)
        if length < least:
            continue
        for start in range(begin, end - length + 1):
            ngram = SEED
            for words in range(1, length + 1):
                ngram = (ngram ^ hashes[start + words - 1]) * FACTOR
                ngram ^= ngram >> np.uint64(32)
                if words == least:
                    prefixes[count] = ngram
            found[count], text_of[count] = ngram, text
            count += 1
    return found[:count], prefixes[:count], text_of[:count]


@numba.njit(inline="always")  # type: ignore[untyped-decorator]
def _bits(prefix: Any, size: int) -> Any:
    """Where a prefix is marked: a word of the filter, whose number of words is a power of two, and three bits in it."""
    six = np.uint64(63)
    bits = (
        np.uint64(1) << (prefix & six),
        np.uint64(1) << (prefix >> np.uint64(6) & six),
        np.uint64(1) << (prefix >> np.uint64(12) & six),
    )
    return np.int64(prefix >> np.uint64(20)) & (size - 1), bits[0] | bits[1] | bits[2]


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _mark(marks: Any, prefixes: Any) -> None:
    for prefix in prefixes:
        place, mask = _bits(prefix, len(marks))
        marks[place] |= mask


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _find(hashes: Any, first: Any, known: Any, lengths: Any, prefixes: Any, least: int) -> Any:
    """For each document: places with a known n-gram, and of the first the word, the number of words and the entry."""
    docs = len(first) - 1
    counts, starts = np.zeros(docs, np.int64), np.zeros(docs, np.int64)
    longest, entries = np.zeros(docs, np.int64), np.zeros(docs, np.int64)
    for doc in range(docs):
        end = first[doc + 1]
        for start in range(first[doc], end - least + 1):
            ngram = SEED
            for at in range(start, start + least):
                ngram = (ngram ^ hashes[at]) * FACTOR
                ngram ^= ngram >> np.uint64(32)
            place, mask = _bits(ngram, len(prefixes))
            if prefixes[place] & mask != mask:
                continue
            words = least
            for length in lengths:
                if start + length > end:
                    break
                while words < length:
                    ngram = (ngram ^ hashes[start + words]) * FACTOR
                    ngram ^= ngram >> np.uint64(32)
                    words += 1
                entry = np.searchsorted(known, ngram)
                if entry < len(known) and known[entry] == ngram:
                    if counts[doc] == 0:
                        starts[doc], longest[doc], entries[doc] = start, length, entry
                    counts[doc] += 1
                    break
    return counts, starts, longest, entries
