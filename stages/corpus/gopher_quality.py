"""Gopher quality: drop pages that do not look like prose by their words, symbols and lines.

In: `text`. Out: the same rows with these signals and the `reason*` columns. "Words" are tokens, punctuation marks included, unless
said otherwise.

| column | type | |
|---|---|---|
| lines | i32 | lines, empty ones included |
| words | i32 | tokens with a character that is no punctuation mark |
| mean_word_length | f64 | characters per such token |
| hash_ratio, ellipsis_ratio | f64 | `#`, and `...` or `…`, per token |
| bullet_line_frac, ellipsis_line_frac | f64 | lines that begin with a bullet or `-`; that end in an ellipsis |
| alpha_word_frac | f64 | tokens with a letter, of those that are no mere punctuation |
| stop_words | i32 | how many of the stop words appear, or with `repeated_stop_words` how often |

A ratio over nothing is null, and breaks no rule.

Source: Rae et al. 2021 (arXiv 2112.11446), appendix A1.1, whose words are what stands between spaces. Where a tokenizer splits off
punctuation and counts it as words without letters, as datatrove's does, lively prose fails the rule of 80 % words with a letter: on
2,778 English pages it dropped 495, whole chapters of Moby Dick among them. So punctuation is no word here; with
`punctuation_is_words` decisions equal those of datatrove 0.10.1's GopherQualityFilter, except that an empty text is called `empty`,
not short. When FineWeb was made, "the" twice was two stop words: `repeated_stop_words`.
"""

import re

import polars as pl
from datatrove.utils.text import PUNCTUATION_SET
from pydantic import Field

from stages.corpus.words import words
from stages.rules import Rule, decide
from stages.stage import Config, Sides, Stage

HEADING_MARKS = re.compile(r"^#{1,6} ", re.MULTILINE)


class GopherQualityConfig(Config):
    """What a kept page must have."""

    min_words: int = Field(50, ge=0)
    """Fewest words that are not mere punctuation."""
    max_words: int = Field(100_000, ge=0)
    """Most words that are not mere punctuation."""
    min_mean_word_length: float = Field(3.0, ge=0)
    """Smallest mean length of these words, in characters."""
    max_mean_word_length: float = Field(10.0, ge=0)
    """Largest mean length of these words, in characters."""
    max_hash_ratio: float = Field(0.1, ge=0)
    """Most `#` signs per word."""
    max_ellipsis_ratio: float = Field(0.1, ge=0)
    """Most ellipses per word."""
    max_bullet_line_frac: float = Field(0.9, ge=0, le=1)
    """Largest fraction of lines that begin with a bullet."""
    max_ellipsis_line_frac: float = Field(0.3, ge=0, le=1)
    """Largest fraction of lines that end in an ellipsis."""
    min_alpha_word_frac: float = Field(0.8, ge=0, le=1)
    """Smallest fraction of words with a letter."""
    punctuation_is_words: bool = False
    """Whether punctuation marks are words without a letter, as in datatrove 0.10.1."""
    min_stop_words: int = Field(2, ge=0)
    """Fewest different stop words."""
    stop_words: tuple[str, ...] = ("the", "be", "to", "of", "and", "that", "have", "with")
    """The stop words, as they are spelled within a sentence."""
    heading_marks: bool = False
    """Whether the `#` at the beginning of Markdown's headings count as hashes."""
    repeated_stop_words: bool = False
    """Whether a stop word counts as often as it appears, as when FineWeb was made; Gopher asks for different ones."""


SIGNALS: dict[str, pl.DataType] = {
    "lines": pl.Int32(),
    "words": pl.Int32(),
    "mean_word_length": pl.Float64(),
    "hash_ratio": pl.Float64(),
    "ellipsis_ratio": pl.Float64(),
    "bullet_line_frac": pl.Float64(),
    "ellipsis_line_frac": pl.Float64(),
    "alpha_word_frac": pl.Float64(),
    "stop_words": pl.Int32(),
}


def rules(config: GopherQualityConfig) -> list[Rule]:
    """Length first, then symbols, lines and words."""
    return [
        Rule("empty", "lines", "below", 1),
        Rule("short_doc", "words", "below", config.min_words),
        Rule("long_doc", "words", "above", config.max_words),
        Rule("short_words", "mean_word_length", "below", config.min_mean_word_length),
        Rule("long_words", "mean_word_length", "above", config.max_mean_word_length),
        Rule("too_many_hashes", "hash_ratio", "above", config.max_hash_ratio),
        Rule("too_many_ellipses", "ellipsis_ratio", "above", config.max_ellipsis_ratio),
        Rule("too_many_bullets", "bullet_line_frac", "above", config.max_bullet_line_frac),
        Rule("too_many_end_ellipses", "ellipsis_line_frac", "above", config.max_ellipsis_line_frac),
        Rule("too_few_alpha_words", "alpha_word_frac", "below", config.min_alpha_word_frac),
        Rule("too_few_stop_words", "stop_words", "below", config.min_stop_words),
    ]


def run(docs: pl.DataFrame, config: GopherQualityConfig, sides: Sides) -> pl.DataFrame:
    signals = pl.DataFrame([measure(text or "", config) for text in docs["text"]], schema=SIGNALS, orient="row")
    return decide(docs.hstack(signals), rules(config))


def measure(text: str, config: GopherQualityConfig) -> tuple[float | None, ...]:
    """The signals of one text, in the order of SIGNALS."""
    lines = text.splitlines()
    tokens = words(text)
    lengths = [len(token) for token in tokens if not PUNCTUATION_SET.issuperset(token)]
    with_letter = sum(token.isalpha() or any(map(str.isalpha, token)) for token in tokens)
    stop_words = [token for token in tokens if token in config.stop_words]
    bullets = sum(line.lstrip().startswith(("•", "-")) for line in lines)
    ellipses = sum(line.rstrip().endswith(("...", "…")) for line in lines)
    return (
        len(lines),
        len(lengths),
        ratio(sum(lengths), len(lengths)),
        ratio((text if config.heading_marks else HEADING_MARKS.sub("", text)).count("#"), len(tokens)),
        ratio(text.count("...") + text.count("…"), len(tokens)),
        ratio(bullets, len(lines)),
        ratio(ellipses, len(lines)),
        ratio(with_letter, len(tokens) if config.punctuation_is_words else len(lengths)),
        len(stop_words if config.repeated_stop_words else set(stop_words)),
    )


def ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


GOPHER_QUALITY = Stage(
    name="gopher_quality",
    version=2,
    run=run,
    config=GopherQualityConfig,
    needs={"text": pl.String()},
    signals=SIGNALS,
    filters=True,
)
