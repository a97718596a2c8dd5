"""A text cut into chunks for a search: whole sentences, whole paragraphs where that leaves no small chunk, with some overlap.

A chunk is a span of the text (so what is between its sentences stays) of at most `words` words; only a sentence that is longer is cut.
It ends with a paragraph if one ends in its second half; a heading (Markdown's #) stays with what follows. The next chunk begins with
the last sentences of the one before, as many as make at most `overlap` words. In scripts without spaces each character counts as a
word, and so does every 50th character of a word that long.
"""

from __future__ import annotations

from dataclasses import dataclass

import regex

from stages.retrieval.terms import UNSPACED

WORD = regex.compile(rf"(?V1)[{UNSPACED}]|[^\s{UNSPACED}]{{1,50}}")
LINE = regex.compile(r"[^\n]+")
SENTENCE = regex.compile(r"\S.*?(?:[.!?]+[\"'”’)\]]*(?=\s|$)|[。！？]+|\s*$)")


@dataclass(frozen=True)
class Piece:
    """A sentence, or a part of a long one: characters [start, end) of the text."""

    start: int
    end: int
    words: int
    closes: bool = False
    """Whether a paragraph ends here."""


def chunks(text: str, words: int, overlap: int) -> list[tuple[int, int]]:
    """The spans (start, end) of the chunks in characters, in order. `overlap` < `words`; a text without a word has none."""
    found = pieces(text, words)
    spans = []
    first = done = 0
    while first < len(found):
        last, size, close = first, 0, 0
        while last < len(found) and size + found[last].words <= words:
            size += found[last].words
            last += 1
            if found[last - 1].closes and 2 * size >= words and last > done:
                close = last
        if last < len(found) and close:
            last = close
        spans.append((found[first].start, found[last - 1].end))
        if last == len(found):
            break
        again, room = last, overlap
        while again - 1 > first and found[again - 1].words <= room:
            again -= 1
            room -= found[again].words
        while again < last and sum(piece.words for piece in found[again : last + 1]) > words:
            again += 1  # what is repeated must leave room for something new
        first, done = again, last
    return spans


def pieces(text: str, most: int) -> list[Piece]:
    """The sentences, those of more than `most` words in parts."""
    found = []
    for line in LINE.finditer(text):
        parts = [
            Piece(spans[at].start(), spans[min(at + most, len(spans)) - 1].end(), min(most, len(spans) - at))
            for start, end in sentences(text, *line.span())
            for spans in [list(WORD.finditer(text, start, end))]
            for at in range(0, len(spans), most)
        ]
        if parts and not line.group().startswith("#"):
            parts[-1] = Piece(parts[-1].start, parts[-1].end, parts[-1].words, closes=True)
        found += parts
    return found


def sentences(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """The spans of the sentences in one line of text."""
    return [match.span() for match in SENTENCE.finditer(text, start, len(text) if end is None else end)]
