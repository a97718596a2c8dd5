"""Text reduced to what near-duplicates share: lower-case words without punctuation or diacritics, numbers as 0.

In: texts. Out: the words of each, joined by single spaces. They are the words of datatrove 0.10.1: `simplify_text` with the
defaults of its `TextNormConfig`, then the tokenizer of `spacy.blank("en")`. Both work on each stretch between white space alone,
so the words of a stretch are remembered; what is remembered changes the speed and nothing else.

One difference, for bounded time: spaCy passes over a stretch again for each symbol that it peels off (16,000 pound signs take
40 s). A stretch with more than 100 symbols is cut at each of them here, which is what spaCy arrives at for most symbols.

Left out: other languages' word splitting. Chinese or Thai, written without spaces, gives few and long words.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from datatrove.utils.text import simplify_text
from datatrove.utils.word_tokenizers import load_word_tokenizer
from spacy.language import Language

MOST_SYMBOLS = 100
LONGEST_REMEMBERED = 64  # characters; longer stretches seldom come back
MOST_REMEMBERED = 1 << 18  # stretches, about 50 MB


def simplify(texts: list[str]) -> list[str]:
    """Each text as its simplified words, joined by single spaces."""
    words = _remembered()
    with _english().memory_zone():  # otherwise spaCy keeps every word that it ever saw
        return [" ".join(filter(None, map(words.__getitem__, text.split()))) for text in texts]


class _Remembered(dict[str, str]):
    """Stretch of text -> its words, joined by spaces. Forgets everything when it is full."""

    def __missing__(self, stretch: str) -> str:
        words = " ".join(map(_words, simplify_text(stretch).split()))
        if len(stretch) <= LONGEST_REMEMBERED:
            if len(self) >= MOST_REMEMBERED:
                self.clear()
            self[stretch] = words
        return words


def _words(plain: str) -> str:
    tokenizer = _english().tokenizer
    if plain.isalpha() and plain not in tokenizer.rules:  # spaCy cuts letters only by its exceptions: cannot -> can not
        return plain
    is_symbol = [unicodedata.category(character)[0] in "SP" for character in plain]
    if sum(is_symbol) > MOST_SYMBOLS:
        cut = "".join(f" {c} " if symbol else c for c, symbol in zip(plain, is_symbol, strict=True))
    else:
        cut = " ".join(token.text for token in tokenizer(plain))
    return " ".join(cut.split())


@lru_cache(maxsize=1)
def _english() -> Language:
    language: Language = load_word_tokenizer("en").tokenizer
    return language


@lru_cache(maxsize=1)
def _remembered() -> _Remembered:
    return _Remembered()
