"""Texts as hashed words, in which case, punctuation, accents and white space make no difference.

In: texts. Out: `Words`, the words of all texts one after the other: 64-bit hashes, the byte at which each begins, and for each
text one hash of all its letters in order, which is the same for copies that differ in case, punctuation or layout alone.

A word is what stands between white space, its letters and digits small, without punctuation, symbols and combining marks: "Don't" is
dont, "Ｃａｆé" is cafe. In scripts that are written without spaces (Han, kana, Thai, Lao, Khmer, Burmese) each character is a word.

Source: Brown et al. 2020, "Language Models are Few-Shot Learners", appendix C ("a lowercase, whitespace delimited word with no
punctuation"). Accents and scripts without spaces are our addition. Left out: characters that stand for several (a ligature, ß).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

DROPPED, SPACE, LETTER, ALONE = range(4)
PLANES = 0x20000  # code points with an entry of their own; behind them lie rare Han characters, then nothing that spells words
BEHIND_HAN = 0x40000
WITHOUT_SPACES = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
)  # fmt: skip

SEED = np.uint64(0x9E3779B97F4A7C15)
FACTOR = np.uint64(0xBF58476D1CE4E5B9)


@dataclass(frozen=True)
class Words:
    """W words of N texts."""

    hashes: U64
    """Of each word, [W]."""
    begins: I64
    """The byte of its text at which it begins, [W]."""
    first: I64
    """Words of text i are those from first[i] to first[i + 1], [N + 1]."""
    texts: U64
    """Hash of all letters of each text, [N]."""


def fold(texts: pl.Series) -> Words:
    """The words of `texts`, a column of strings; a null is a text without words."""
    column = texts.fill_null("").rechunk().to_arrow().cast("large_string")
    _, ends, data = column.buffers()
    offsets = np.frombuffer(ends, np.int64)[column.offset : column.offset + len(column) + 1]
    read = np.frombuffer(data, np.uint8) if data is not None and data.size else np.empty(0, np.uint8)
    most = int(offsets[-1] - offsets[0]) // 2 + len(column) + 1  # every word but the last of a text takes two bytes or more
    hashes, begins = np.empty(most, np.uint64), np.empty(most, np.int64)
    first, whole = np.zeros(len(column) + 1, np.int64), np.empty(len(column), np.uint64)
    found = _fold(read, offsets, *tables(), hashes, begins, first, whole)
    return Words(hashes[:found], begins[:found], first, whole)


@lru_cache(maxsize=1)
def tables() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint32]]:
    """What kind of character each code point is, and the letter that stands for it."""
    kinds = np.zeros(PLANES, np.uint8)
    letters = np.arange(PLANES, dtype=np.uint32)
    for code in range(PLANES):
        character = chr(code)
        if character.isspace():
            kinds[code] = SPACE
        elif unicodedata.category(character)[0] in "LN":
            letters[code] = letter = _letter(character)
            kinds[code] = ALONE if any(low <= letter <= high for low, high in WITHOUT_SPACES) else LETTER
    return kinds, letters


def _letter(character: str) -> int:
    plain = [part for part in unicodedata.normalize("NFKD", character.casefold()) if unicodedata.category(part)[0] != "M"]
    small = character.lower()
    return ord(plain[0]) if len(plain) == 1 else ord(small if len(small) == 1 else character)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _fold(data: Any, offsets: Any, kinds: Any, letters: Any, hashes: Any, begins: Any, first: Any, texts: Any) -> int:
    """Fills the last four; the number of words."""
    shift = np.uint64(29)
    words = 0
    for text in range(len(offsets) - 1):
        at, end = offsets[text], offsets[text + 1]
        whole = word = SEED
        open_word = False
        while at < end:
            here = at
            byte = np.uint32(data[at])
            if byte < 0x80:
                code = byte
                at += 1
            elif byte < 0xE0:
                code = (byte & np.uint32(0x1F)) << 6 | (data[at + 1] & 0x3F)
                at += 2
            elif byte < 0xF0:
                code = (byte & np.uint32(0x0F)) << 12 | np.uint32(data[at + 1] & 0x3F) << 6 | (data[at + 2] & 0x3F)
                at += 3
            else:
                code = (
                    (byte & np.uint32(0x07)) << 18
                    | np.uint32(data[at + 1] & 0x3F) << 12
                    | np.uint32(data[at + 2] & 0x3F) << 6
                    | (data[at + 3] & 0x3F)
                )
                at += 4
            if code < PLANES:
                kind = kinds[code]
                letter = np.uint64(letters[code])
            else:
                kind = ALONE if code < BEHIND_HAN else DROPPED
                letter = np.uint64(code)
            if kind == DROPPED:
                continue
            if open_word and kind != LETTER:
                hashes[words] = word
                words += 1
                open_word = False
            if kind == SPACE:
                continue
            whole = (whole ^ letter) * FACTOR
            whole ^= whole >> shift
            if not open_word:
                begins[words] = here - offsets[text]
                word = SEED
            word = (word ^ letter) * FACTOR
            word ^= word >> shift
            open_word = kind == LETTER
            if kind == ALONE:
                hashes[words] = word
                words += 1
        if open_word:
            hashes[words] = word
            words += 1
        texts[text] = whole
        first[text + 1] = words
    return words
