"""Gopher repetition: drop pages that say the same thing again and again.

In: `text`. Out: the same rows with these signals and the `reason*` columns. A fraction counts elements, a `char` fraction characters
of `text`; a top n-gram fraction is the characters of the most frequent n-gram, once per occurrence (overlaps count, so it can pass
1); a dup n-gram fraction is the characters in n-grams seen before, overlaps not counted again.

| column | type | |
|---|---|---|
| characters | i32 | length of the text |
| dup_para_frac, dup_para_char_frac | f64 | paragraphs (split at blank lines) that appeared before |
| dup_line_frac, dup_line_char_frac | f64 | lines that appeared before |
| top_2_gram_frac, top_3_gram_frac, top_4_gram_frac | f64 | null where the text is shorter than n words |
| top_2_gram, top_3_gram, top_4_gram | string | that n-gram, the first seen of equally frequent ones |
| dup_5_gram_frac ... dup_10_gram_frac | f64 | |

Source: Rae et al. 2021, "Scaling Language Models: Methods, Analysis & Insights from Training Gopher" (arXiv 2112.11446), table A1.
Decisions equal those of datatrove 0.10.1's GopherRepetitionFilter.
"""

import re
from collections import Counter

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from stages.corpus.words import words
from stages.rules import Rule, decide
from stages.stage import Config, Sides, Stage

TOP = (2, 3, 4)
DUP = (5, 6, 7, 8, 9, 10)

PARAGRAPHS = re.compile(r"\n{2,}")
LINES = re.compile(r"\n+")

BASE = np.uint64(0x9E3779B97F4A7C15)
INVERSE = np.uint64(pow(int(BASE), -1, 1 << 64))


class GopherRepetitionConfig(Config):
    """The largest fraction that a kept page may have of each kind of repetition."""

    dup_para_frac: float = Field(0.30, ge=0, le=1)
    """Paragraphs that repeat an earlier one, of all paragraphs."""
    dup_para_char_frac: float = Field(0.20, ge=0, le=1)
    """Characters in such paragraphs, of all characters."""
    dup_line_frac: float = Field(0.30, ge=0, le=1)
    """Lines that repeat an earlier one, of all lines."""
    dup_line_char_frac: float = Field(0.20, ge=0, le=1)
    """Characters in such lines, of all characters."""
    top_2_gram_frac: float = Field(0.20, ge=0, le=10)
    """Characters in the most frequent pair of words."""
    top_3_gram_frac: float = Field(0.18, ge=0, le=10)
    """Characters in the most frequent three words."""
    top_4_gram_frac: float = Field(0.16, ge=0, le=10)
    """Characters in the most frequent four words."""
    dup_5_gram_frac: float = Field(0.15, ge=0, le=1)
    """Characters in repeated runs of five words."""
    dup_6_gram_frac: float = Field(0.14, ge=0, le=1)
    """Characters in repeated runs of six words."""
    dup_7_gram_frac: float = Field(0.13, ge=0, le=1)
    """Characters in repeated runs of seven words."""
    dup_8_gram_frac: float = Field(0.12, ge=0, le=1)
    """Characters in repeated runs of eight words."""
    dup_9_gram_frac: float = Field(0.11, ge=0, le=1)
    """Characters in repeated runs of nine words."""
    dup_10_gram_frac: float = Field(0.10, ge=0, le=1)
    """Characters in repeated runs of ten words."""


SIGNALS: dict[str, pl.DataType] = {
    "characters": pl.Int32(),
    **{f"dup_{unit}_frac": pl.Float64() for unit in ("para", "para_char", "line", "line_char")},
    **{f"top_{n}_gram_frac": pl.Float64() for n in TOP},
    **{f"top_{n}_gram": pl.String() for n in TOP},
    **{f"dup_{n}_gram_frac": pl.Float64() for n in DUP},
}


def rules(config: GopherRepetitionConfig) -> list[Rule]:
    """Repetition of whole paragraphs and lines first, then of n-grams, short ones first."""
    return [
        Rule("empty", "characters", "below", 1),
        Rule("dup_para_frac", "dup_para_frac", "above", config.dup_para_frac),
        Rule("dup_para_char_frac", "dup_para_char_frac", "above", config.dup_para_char_frac),
        Rule("dup_line_frac", "dup_line_frac", "above", config.dup_line_frac),
        Rule("dup_line_char_frac", "dup_line_char_frac", "above", config.dup_line_char_frac),
        *(
            Rule(f"top_{n}_gram", f"top_{n}_gram_frac", "above", getattr(config, f"top_{n}_gram_frac"), f"top_{n}_gram")
            for n in TOP
        ),
        *(Rule(f"dup_{n}_gram", f"dup_{n}_gram_frac", "above", getattr(config, f"dup_{n}_gram_frac")) for n in DUP),
    ]


def run(docs: pl.DataFrame, config: GopherRepetitionConfig, sides: Sides) -> pl.DataFrame:
    signals = pl.DataFrame([measure(text or "") for text in docs["text"]], schema=SIGNALS, orient="row")
    return decide(docs.hstack(signals), rules(config))


def measure(text: str) -> tuple[float | str | None, ...]:
    """The signals of one text, in the order of SIGNALS."""
    size = len(text)
    if not size:
        return (0, *[None] * (len(SIGNALS) - 1))
    paragraphs = PARAGRAPHS.split(text.strip())
    lines = LINES.split(text)
    dup_paras, dup_para_chars = repeated(paragraphs)
    dup_lines, dup_line_chars = repeated(lines)
    tokens = words(text)
    spaced, joined = Spelling(tokens, " "), Spelling(tokens, "")
    tops = [top_n_gram(spaced, n) for n in TOP]
    return (
        size,
        dup_paras / len(paragraphs),
        dup_para_chars / size,
        dup_lines / len(lines),
        dup_line_chars / size,
        *(None if top is None else len(top[0]) * top[1] / size for top in tops),
        *(None if top is None else top[0] for top in tops),
        *(repeated_n_gram_characters(joined, n) / size for n in DUP),
    )


def repeated(elements: list[str]) -> tuple[int, int]:
    """How many elements equal an earlier one, and how many characters they have."""
    distinct = set(elements)
    if len(distinct) == len(elements):
        return 0, 0
    return len(elements) - len(distinct), sum(map(len, elements)) - sum(map(len, distinct))


class Spelling:
    """Words written one after the other, and fingerprints of their n-grams: equal n-grams have equal ones, others hardly ever.

    The fingerprint of a slice is sum(code * BASE ** (place - start)) modulo 2 ** 64, a difference of two prefix sums. It finds the
    few n-grams that may be repeated; strings decide.
    """

    def __init__(self, tokens: list[str], separator: str) -> None:
        self.text = separator.join(tokens)
        lengths = np.fromiter(map(len, tokens), np.int64, len(tokens))
        self.ends = np.cumsum(lengths + len(separator)) - len(separator)
        self.starts = self.ends - lengths
        codes = np.frombuffer(self.text.encode("utf-32-le"), np.uint32).astype(np.uint64)
        self.prefix = np.zeros(len(codes) + 1, np.uint64)
        np.cumsum(codes * np.cumprod(np.full(len(codes), BASE)), out=self.prefix[1:])
        self.shift = np.cumprod(np.full(len(codes) + 1, INVERSE))[self.starts]

    def fingerprints(self, n: int) -> npt.NDArray[np.uint64]:
        """One for each n-gram, in order; none where there are fewer than n words."""
        count = max(0, len(self.starts) - n + 1)
        starts, ends = self.starts[:count], self.ends[n - 1 :]
        prints: npt.NDArray[np.uint64] = (self.prefix[ends] - self.prefix[starts]) * self.shift[:count]
        return prints

    def n_gram(self, at: int, n: int) -> str:
        return self.text[self.starts[at] : self.ends[at + n - 1]]


def top_n_gram(spelling: Spelling, n: int) -> tuple[str, int] | None:
    """The most frequent n-gram, its words joined by spaces, and its count; the first seen of several."""
    prints = spelling.fingerprints(n)
    if not len(prints):
        return None
    distinct, counts = np.unique(prints, return_counts=True)
    most = int(counts.max())
    if most == 1:
        return spelling.n_gram(0, n), 1
    frequent = np.flatnonzero(np.isin(prints, distinct[counts == most]))
    found = Counter(spelling.n_gram(at, n) for at in frequent.tolist())
    best = max(found, key=found.__getitem__)
    if found[best] < most:  # the fingerprint stood for more than one n-gram
        found = Counter(spelling.n_gram(at, n) for at in range(len(prints)))
        best = max(found, key=found.__getitem__)
    return best, found[best]


def repeated_n_gram_characters(spelling: Spelling, n: int) -> int:
    """Characters of the n-grams that were seen before, going on behind each one found.

    n-grams are compared without spaces, as datatrove does: other words that spell the same count as the same.
    """
    prints = spelling.fingerprints(n)
    in_order = np.sort(prints)
    again = in_order[1:][in_order[1:] == in_order[:-1]]
    seen: set[str] = set()
    behind = characters = 0
    for at in np.flatnonzero(np.isin(prints, again)).tolist() if len(again) else ():
        if at < behind:
            continue
        n_gram = spelling.n_gram(at, n)
        if n_gram in seen:
            characters += len(n_gram)
            behind = at + n
        else:
            seen.add(n_gram)
    return characters


GOPHER_REPETITION = Stage(
    name="gopher_repetition",
    version=1,
    run=run,
    config=GopherRepetitionConfig,
    needs={"text": pl.String()},
    signals=SIGNALS,
    filters=True,
)
