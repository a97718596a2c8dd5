"""What a block's text is made of: words, letters, capitals, punctuation, stop words, words of the page's title and description.

A word is a run of letters, marks, digits and apostrophes; an ideograph, kana or hangul syllable is a word of its own.
"""

import numpy as np

from stages.extraction.arrays import DESCRIPTION, OG_DESCRIPTION, OG_TITLE, TITLE
from stages.extraction.characters import CAPITAL, COMMA, DIGIT, IDEOGRAPH, KIND_OF, LETTER, PUNCTUATION, SMALL
from stages.extraction.compiled import compiled_bare
from stages.extraction.lookup import BASIS, look, mix
from stages.extraction.scanner import Scanned
from stages.extraction.stop_words import IS_STOP_WORD, STOP_WORDS

_NAMED = 512  # places for the words of title and description
_TITLE_BYTES, _DESCRIPTION_BYTES = 300, 800
IN_TITLE, IN_DESCRIPTION = 1, 2


def measure(page: np.ndarray, scanned: Scanned) -> None:
    """Fills the counts of `scanned.blocks` that the scanner left at zero."""
    hashes, found = np.zeros(_NAMED, np.uint32), np.zeros(_NAMED, np.int64)
    _name(page, scanned.marks, hashes, found)
    _measure(scanned.text, scanned.blocks, hashes, found)


@compiled_bare
def _name(page, marks, hashes, found):  # type: ignore[no-untyped-def]
    """The words of title and description, but for stop words, into the table `hashes`; `found` says which of the two has them."""
    for kind in (TITLE, OG_TITLE):
        _add(page, marks[kind, 0], min(marks[kind, 1], marks[kind, 0] + _TITLE_BYTES), IN_TITLE, hashes, found)
    for kind in (DESCRIPTION, OG_DESCRIPTION):
        _add(page, marks[kind, 0], min(marks[kind, 1], marks[kind, 0] + _DESCRIPTION_BYTES), IN_DESCRIPTION, hashes, found)


@compiled_bare
def _add(text, start, end, bit, hashes, found):  # type: ignore[no-untyped-def]
    value, length, added = BASIS, 0, 0
    i = start
    while i <= end and added < 100:
        size, code, kind = (1, 32, 0) if i == end else _decoded(text, i, end)
        part = kind == LETTER or kind == CAPITAL or kind == DIGIT
        if length and not part and code != 39 and code != 0x2019:
            if look(STOP_WORDS, IS_STOP_WORD, value) == 0:
                _put(value, bit, hashes, found)
                added += 1
            value, length = BASIS, 0
        if part or kind == IDEOGRAPH:
            value = mix(value, SMALL[code])
            length += 1
            if kind == IDEOGRAPH:
                _put(value, bit, hashes, found)
                added += 1
                value, length = BASIS, 0
        i += size


@compiled_bare
def _put(value, bit, hashes, found):  # type: ignore[no-untyped-def]
    at = value & np.uint32(_NAMED - 1)
    while hashes[at] != 0 and hashes[at] != value:
        at = (at + np.uint32(1)) & np.uint32(_NAMED - 1)
    hashes[at] = value
    found[at] |= bit


@compiled_bare
def _decoded(text, i, end):  # type: ignore[no-untyped-def]
    """The character at `text[i]`: (bytes, code point, kind). Beyond the Basic Multilingual Plane all is an ideograph or a sign."""
    c = np.int64(text[i])
    if c < 0x80:
        return 1, c, KIND_OF[c]
    if c < 0xE0 or i + 2 >= end:
        if i + 1 >= end:
            return 1, 0, KIND_OF[0]
        code = (c & 31) << 6 | text[i + 1] & 63
        return 2, code, KIND_OF[code]
    if c < 0xF0:
        code = (c & 15) << 12 | (np.int64(text[i + 1]) & 63) << 6 | text[i + 2] & 63
        return 3, code, KIND_OF[code]
    return 4, 0xFFFF, KIND_OF[0xFFFF]


@compiled_bare
def _measure(text, blocks, hashes, found):  # type: ignore[no-untyped-def]
    for b in range(blocks.shape[0]):
        block = blocks[b]
        words = letters = foreign = capitals = digits = punctuation = commas = ideographs = stops = titles = descriptions = 0
        value, length, code = BASIS, 0, 32
        i = block.start
        end = block.end
        while i <= end:
            if i < end:
                size, now, kind = _decoded(text, i, end)
            else:
                size, now, kind = 1, 32, KIND_OF[32]
            part = kind == LETTER or kind == CAPITAL or kind == DIGIT
            if length and not part and now != 39 and now != 0x2019:
                words += 1
                stops += look(STOP_WORDS, IS_STOP_WORD, value)
                named = look(hashes, found, value)
                titles += named & IN_TITLE
                descriptions += named >> 1
                value, length = BASIS, 0
            if part:
                if kind == DIGIT:
                    digits += 1
                else:
                    letters += 1
                    if kind == CAPITAL:
                        capitals += 1
                    if now >= 0x80:
                        foreign += 1
                value = mix(value, SMALL[now])
                length += 1
            elif kind == IDEOGRAPH:
                ideographs += 1
                named = look(hashes, found, mix(BASIS, now))
                titles += named & IN_TITLE
                descriptions += named >> 1
            elif kind == PUNCTUATION:
                punctuation += 1
            elif kind == COMMA:
                punctuation += 1
                commas += 1
            if i < end:
                code = now
            i += size
        block.words = words + ideographs
        block.letters = letters
        block.foreign = foreign
        block.capitals = capitals
        block.digits = digits
        block.punctuation = punctuation
        block.commas = commas
        block.ideographs = ideographs
        block.stop_words = stops
        block.title_words = titles
        block.description_words = descriptions
        block.last = code
