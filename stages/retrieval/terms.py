"""A text as the terms that a search compares.

Compatibility form, case folded; a term is a run of letters and digits with its accents, without the ending of an English plural or
third person ("lives" and "live" are one term). Where a script puts no spaces between words (Chinese, Japanese, Thai ...), a term is a
pair of neighbouring characters.

Sources: Harman 1991, "How effective is suffixing?", the S stemmer; pairs as in Lucene's CJKBigramFilter. Left out: lists of stop words
(their weight is small by itself), stemmers of other languages.
"""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import regex

UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
"""Scripts without spaces between words, for a set in a regular expression."""
TERM = regex.compile(rf"(?V1)(?P<unspaced>[{UNSPACED}]+)|[[\p{{L}}\p{{M}}\p{{N}}]--[{UNSPACED}]]+")
LONGEST = 40
"""Characters of a term that count: what is longer is hardly a word."""


def terms(text: str) -> list[str]:
    """The terms, in order, with repetitions."""
    found: list[str] = []
    for match in TERM.finditer(unicodedata.normalize("NFKC", text).casefold()):
        run = match.group()
        if match.group("unspaced") is None:
            found.append(stem(run[:LONGEST]))
        elif len(run) == 1:
            found.append(run)
        else:
            found += [a + b for a, b in pairwise(run)]
    return found


def stem(word: str) -> str:
    """Without the ending of a plural: Harman's three rules, the first that fits."""
    if len(word) < 4 or not word.endswith("s"):
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    if word.endswith("es") and not word.endswith(("aes", "ees", "oes")):
        return word[:-1]
    return word if word.endswith(("us", "ss")) else word[:-1]
