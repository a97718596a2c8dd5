"""Byte-level BPE of much text: each word is merged once, by `tokenizers`, and from then on looked up.

The same ids as from `tokenizers` alone, at three times the speed at first and at eighteen times once all words are known: words repeat, and
most of its time goes into cutting them out (words.py). Loading takes a second, five on a machine's first use, when words.py is compiled.
It also takes white space of any length: beyond ten million characters of it, the regular expressions of `tokenizers` give up.
"""

import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from models.tokenizer.pretokenizers import Pretokenizer
from models.tokenizer.words import STYLE, classes, cut, emit, find, place

_AT_ONCE = 4_000_000  # characters, at 4 + 8 bytes
_ROOM = 8_000_000  # characters or ids of known words; beyond, the table starts anew: at most 150 MB


class Encoder:
    """Words and their ids, as they come in. Threads may share one."""

    def __init__(self, pretokenizer: Pretokenizer, merged: Callable[[Sequence[str]], list[list[int]]]) -> None:
        """`merged`: the ids of words, each taken as it is."""
        self.style = STYLE[pretokenizer]
        self.merged = merged
        self.known: int
        self.slots: Any
        self.hashes: Any
        self.words: Any
        self.word_starts: Any
        self.ids: Any
        self.id_starts: Any
        self._lock = threading.Lock()
        self._forget()

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text; no lone surrogate may be in them."""
        out: list[list[int]] = []
        batch: list[str] = []
        size = 0
        for text in texts:
            if batch and size + len(text) > _AT_ONCE:
                with self._lock:
                    out += self._batch(batch)
                batch, size = [], 0
            batch.append(text)
            size += len(text)
        with self._lock:
            return out + self._batch(batch)

    def _batch(self, texts: list[str]) -> list[list[int]]:
        joined = "".join(texts)
        codes = np.frombuffer(joined.encode("utf-32-le"), np.uint32)
        bounds = np.cumsum([0, *map(len, texts)])
        ends, counts = np.empty(len(codes), np.int64), np.zeros(len(texts), np.int64)
        ends = ends[: cut(codes, bounds, classes(self.style), self.style, ends, counts)]
        numbers = np.empty(len(ends), np.int64)
        find(codes, ends, self.slots, self.hashes, self.words, self.word_starts, numbers)
        new = np.flatnonzero(numbers < 0)
        if len(new):
            starts = np.concatenate(([0], ends))[new].tolist()
            spelled = [joined[first:last] for first, last in zip(starts, ends[new].tolist(), strict=True)]
            place_of = {word: self.known + n for n, word in enumerate(dict.fromkeys(spelled))}
            numbers[new] = [place_of[word] for word in spelled]
            self._learn(list(place_of))
        sizes = np.diff(self.id_starts[: self.known + 1])
        out, lengths = np.empty(int(sizes[numbers].sum()), np.int32), np.empty(len(texts), np.int64)
        emit(numbers, counts, self.ids, self.id_starts, out, lengths)
        if max(self.word_starts[self.known], self.id_starts[self.known]) > _ROOM:
            self._forget()
        flat, places = out.tolist(), np.cumsum([0, *lengths]).tolist()
        return [flat[first:last] for first, last in itertools.pairwise(places)]

    def _learn(self, words: list[str]) -> None:
        known = self.known + len(words)
        ids = self.merged(words)
        self.words, self.word_starts = _appended(
            self.words,
            self.word_starts,
            self.known,
            np.frombuffer("".join(words).encode("utf-32-le"), np.uint32),
            list(map(len, words)),
        )
        flat = np.array([n for one in ids for n in one], np.int32)
        self.ids, self.id_starts = _appended(self.ids, self.id_starts, self.known, flat, list(map(len, ids)))
        first = self.known
        if 2 * known > len(self.slots):
            self.slots = np.full(1 << (4 * known).bit_length(), -1, np.int64)
            first = 0
        if known > len(self.hashes):
            self.hashes = _grown(self.hashes, known)
        place(self.slots, self.hashes, self.words, self.word_starts, first, known)
        self.known = known

    def _forget(self) -> None:
        self.known = 0
        self.slots = np.full(1 << 12, -1, np.int64)
        self.hashes = np.empty(0, np.uint64)
        self.words, self.word_starts = np.empty(0, np.uint32), np.zeros(1, np.int64)
        self.ids, self.id_starts = np.empty(0, np.int32), np.zeros(1, np.int64)


def _appended(items: Any, starts: Any, known: int, more: Any, lengths: list[int]) -> tuple[Any, Any]:
    """Lists one behind another in `items`, the n-th from starts[n] to starts[n + 1], and more of them."""
    at = int(starts[known])
    if at + len(more) > len(items):
        items = _grown(items, at + len(more))
    if known + len(lengths) + 1 > len(starts):
        starts = _grown(starts, known + len(lengths) + 1)
    items[at : at + len(more)] = more
    starts[known + 1 : known + 1 + len(lengths)] = at + np.cumsum(lengths)
    return items, starts


def _grown(items: Any, size: int) -> Any:
    """A copy with room for `size` and as much again."""
    grown = np.empty(2 * size, items.dtype)
    grown[: len(items)] = items
    return grown
