"""Text to words in machine code: what the pre-tokenizers' regular expressions cut, and a table of the words that were met before.

    codes (UTF-32) -> cut -> ends of words -> find -> numbers of known words -> emit -> ids

`cut` goes through a text once and is what pretokenizers.py describes; the tests hold it against `tokenizers` on every kind of white space,
contraction and script. `classes` takes letters and numbers from `tokenizers` itself: its regular expressions and Python know different versions
of Unicode.

The table has open addressing: `slots` [power of two] hold numbers of words or -1, `hashes` [words] are compared first, then the codes.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from tokenizers import Regex, pre_tokenizers

from models.tokenizer.pretokenizers import Pretokenizer

LETTER, NUMBER, SPACE, NEWLINE, DIGIT = 1, 2, 4, 8, 16  # DIGIT: what smollm sets apart before all else
STYLE: dict[Pretokenizer, int] = {"qwen2": 0, "llama-bpe": 1, "gpt-2": 2, "smollm": 3}
_, _LLAMA, _GPT2, _SMOLLM = range(4)
# Unicode's White_Space, which is `\\s` in a regular expression of `tokenizers`, and has not changed since 2013.
_WHITE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)

U8 = npt.NDArray[np.uint8]


def _compiled(function: Callable[..., Any]) -> Any:
    """`function` in machine code, made at its first call and kept beside this file."""
    return njit(cache=True)(function)


@lru_cache(maxsize=2)
def classes(style: int) -> U8:
    """For each code point the sum of its classes: u8[0x110000]."""
    table = np.zeros(0x110000, np.uint8)
    table[[ord(white) for white in _WHITE]] = SPACE
    table[[ord("\r"), ord("\n")]] |= NEWLINE
    for pattern, bit in ((r"\P{L}+", LETTER), (r"\P{N}+", NUMBER)):
        for first, last in _cut(pre_tokenizers.Split(Regex(pattern), "removed")):
            table[first:last] |= bit
    if style == _SMOLLM:
        digits = pre_tokenizers.Digits(individual_digits=True)
        for first, last in _cut(digits):
            # It sets digits apart, but also what stands alone between two of them.
            if last == first + 1 and len(digits.pre_tokenize_str(f"a{chr(first)}a")) == 3:
                table[first] |= DIGIT
    return table


def _cut(pretokenizer: Any) -> Iterator[tuple[int, int]]:
    """The pieces into which all characters in order are cut: first code point, last one + 1.

    Left out are surrogates, the planes 4 to 13, in which no version of Unicode has a character, and the two of private use.
    """
    for begin, end in ((0, 0xD800), (0xE000, 0x40000), (0xE0000, 0xF0000)):
        for at in range(begin, end, 10_000):  # offsets in long texts are slow to make
            text = "".join(map(chr, range(at, min(at + 10_000, end))))
            for _, (first, last) in pretokenizer.pre_tokenize_str(text):
                yield at + first, at + last


@_compiled
def cut(codes: Any, bounds: Any, classes: Any, style: int, ends: Any, counts: Any) -> int:
    """Words of the texts codes[bounds[t] : bounds[t + 1]]: their ends into `ends`, their number in each text into `counts`. Back: all of them."""
    found = 0
    for text in range(len(counts)):
        before, at, last = found, bounds[text], bounds[text + 1]
        while at < last:
            if style == _SMOLLM:
                end = at
                while end < last and not classes[codes[end]] & DIGIT:
                    end += 1
                if end == at:
                    at += 1
                    ends[found] = at
                    found += 1
                    continue
            else:
                end = last
            while at < end:
                at = _gpt2(codes, at, end, classes) if style >= _GPT2 else _qwen2(codes, at, end, classes, style)
                ends[found] = at
                found += 1
        counts[text] = found - before
    return found


@_compiled
def _qwen2(codes: Any, at: int, end: int, classes: Any, style: int) -> Any:
    code = codes[at]
    kind = classes[code]
    contraction = _contraction(codes, at, end, True)
    if contraction:
        return at + contraction
    if kind & LETTER or (not kind & (NUMBER | NEWLINE) and at + 1 < end and classes[codes[at + 1]] & LETTER):
        return _run(codes, at + 1, end, classes, LETTER)
    if kind & NUMBER:
        return _run(codes, at + 1, min(end, at + 3), classes, NUMBER) if style == _LLAMA else at + 1
    mark = at + (code == 32)
    if mark < end and not classes[codes[mark]] & (LETTER | NUMBER | SPACE):
        return _run(codes, _others(codes, mark, end, classes), end, classes, NEWLINE)
    white = _run(codes, at, end, classes, SPACE)
    newline = white
    while newline > at and not classes[codes[newline - 1]] & NEWLINE:
        newline -= 1
    return newline if newline > at else _white(at, white, end)


@_compiled
def _gpt2(codes: Any, at: int, end: int, classes: Any) -> Any:
    contraction = _contraction(codes, at, end, False)
    if contraction:
        return at + contraction
    word = at + (codes[at] == 32)
    if word < end:
        kind = classes[codes[word]]
        if kind & LETTER:
            return _run(codes, word, end, classes, LETTER)
        if kind & NUMBER:
            return _run(codes, word, end, classes, NUMBER)
        if not kind & SPACE:
            return _others(codes, word, end, classes)
    return _white(at, _run(codes, at, end, classes, SPACE), end)


@_compiled
def _white(at: int, white: int, end: int) -> int:
    """Of a run of white space, the last character goes to the word that follows."""
    return white if white == end or white == at + 1 else white - 1


@_compiled
def _run(codes: Any, at: int, end: int, classes: Any, wanted: int) -> int:
    while at < end and classes[codes[at]] & wanted:
        at += 1
    return at


@_compiled
def _others(codes: Any, at: int, end: int, classes: Any) -> int:
    while at < end and not classes[codes[at]] & (LETTER | NUMBER | SPACE):
        at += 1
    return at


@_compiled
def _contraction(codes: Any, at: int, end: int, fold: bool) -> int:
    """Length of 's 't 'm 'd 're 've 'll, or 0."""
    if codes[at] != 39 or at + 1 >= end:
        return 0
    first = _lower(codes[at + 1], fold)
    if first == 115 or first == 116 or first == 109 or first == 100:
        return 2
    if at + 2 >= end:
        return 0
    second = _lower(codes[at + 2], fold)
    if (second == 101 and (first == 114 or first == 118)) or (second == 108 and first == 108):
        return 3
    return 0


@_compiled
def _lower(code: int, fold: bool) -> int:
    return code + 32 if fold and 65 <= code <= 90 else code


@_compiled
def find(codes: Any, ends: Any, slots: Any, hashes: Any, texts: Any, starts: Any, numbers: Any) -> None:
    """For each word its number into `numbers`, -1 where it is new. Word w of the table is texts[starts[w] : starts[w + 1]]."""
    mask = len(slots) - 1
    first = 0
    for word in range(len(ends)):
        last = ends[word]
        hashed = _hash(codes, first, last)
        slot = np.int64(hashed & np.uint64(mask))
        number = slots[slot]
        while number >= 0:
            if hashes[number] == hashed and starts[number + 1] - starts[number] == last - first:
                same = True
                for n in range(last - first):
                    if texts[starts[number] + n] != codes[first + n]:
                        same = False
                        break
                if same:
                    break
            slot = (slot + 1) & mask
            number = slots[slot]
        numbers[word] = number
        first = last


@_compiled
def place(slots: Any, hashes: Any, texts: Any, starts: Any, first: int, last: int) -> None:
    """Words first .. last-1 into the table: their hashes from their codes, and a free slot for each."""
    mask = len(slots) - 1
    for number in range(first, last):
        hashes[number] = _hash(texts, starts[number], starts[number + 1])
        slot = np.int64(hashes[number] & np.uint64(mask))
        while slots[slot] >= 0:
            slot = (slot + 1) & mask
        slots[slot] = number


@_compiled
def _hash(codes: Any, first: int, last: int) -> Any:
    hashed = np.uint64(0xCBF29CE484222325)
    for at in range(first, last):
        hashed = (hashed ^ np.uint64(codes[at])) * np.uint64(0x9E3779B97F4A7C15)
        hashed ^= hashed >> np.uint64(29)
    return hashed


@_compiled
def emit(numbers: Any, counts: Any, ids: Any, starts: Any, out: Any, lengths: Any) -> None:
    """The ids of each word one behind another into `out`, how many they are in each text into `lengths`."""
    at = word = 0
    for text in range(len(counts)):
        before = at
        for _ in range(counts[text]):
            for n in range(starts[numbers[word]], starts[numbers[word] + 1]):
                out[at] = ids[n]
                at += 1
            word += 1
        lengths[text] = at - before
