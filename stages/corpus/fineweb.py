"""FineWeb: drop pages that are lists rather than prose, by how their lines end, how long they are and how often they repeat.

In: `text`. Out: the same rows with these signals and the `reason*` columns. A line counts where it is not blank.

| column | type | |
|---|---|---|
| lines | i32 | |
| punctuation_line_frac | f64 | lines that end in a closing mark |
| short_line_frac | f64 | lines of at most `short_line_length` characters |
| dup_line_char_frac | f64 | characters in lines that appeared before, newlines not counted |
| newline_word_ratio | f64 | newlines per word, punctuation marks counted as words |

Source: Penedo et al. 2024, "The FineWeb Datasets" (arXiv 2406.17557), section 3.5. datatrove 0.10.1's FineWebQualityFilter is no
longer the one with which FineWeb was made: it lost the quotation marks at line ends, gained the full stops of other scripts, and a
value equal to its threshold passes. `line_ends` and `equal_breaks` choose; set to "datatrove-0.10" and false, the decisions are
the library's. Left out: FineWeb counted blank lines too, of which C4 leaves none.
"""

import math
from typing import Literal

import polars as pl
from datatrove.utils.text import TERMINAL_PUNCTUATION
from pydantic import Field

from stages.corpus.gopher_repetition import repeated
from stages.corpus.words import words
from stages.rules import Rule, decide
from stages.stage import Config, Sides, Stage

LINE_ENDS = {
    "all": frozenset(TERMINAL_PUNCTUATION | {"'", '"'}),
    "fineweb-2024": frozenset(".'\"!?"),
    "datatrove-0.10": frozenset(TERMINAL_PUNCTUATION),
}


class FineWebConfig(Config):
    """What separates prose from lists."""

    min_punctuation_line_frac: float = Field(0.12, ge=0, le=1)
    """Smallest fraction of lines that end in a closing mark."""
    max_short_line_frac: float = Field(0.67, ge=0, le=1)
    """Largest fraction of short lines."""
    short_line_length: int = Field(30, ge=0)
    """Most characters of a short line."""
    max_dup_line_char_frac: float = Field(0.01, ge=0, le=1)
    """Largest fraction of characters in lines that repeat an earlier one."""
    max_newline_word_ratio: float = Field(0.3, ge=0)
    """Most newlines per word."""
    line_ends: Literal["all", "fineweb-2024", "datatrove-0.10"] = "all"
    """Closing marks: . ' " ! ? as published, those of every script without quotes as in datatrove 0.10, or all of them."""
    equal_breaks: bool = True
    """Whether a fraction equal to its threshold breaks the rule, as when FineWeb was made; the newline ratio never does."""


SIGNALS: dict[str, pl.DataType] = {
    "lines": pl.Int32(),
    "punctuation_line_frac": pl.Float64(),
    "short_line_frac": pl.Float64(),
    "dup_line_char_frac": pl.Float64(),
    "newline_word_ratio": pl.Float64(),
}


def rules(config: FineWebConfig) -> list[Rule]:
    """Line ends, short lines, repeated lines, newlines."""
    low, short, dup = config.min_punctuation_line_frac, config.max_short_line_frac, config.max_dup_line_char_frac
    if config.equal_breaks:  # "at or below x" is "below the next number above x"
        low, short, dup = math.nextafter(low, math.inf), math.nextafter(short, -math.inf), math.nextafter(dup, -math.inf)
    return [
        Rule("empty", "lines", "below", 1),
        Rule("line_punct_ratio", "punctuation_line_frac", "below", low),
        Rule("short_line_ratio", "short_line_frac", "above", short),
        Rule("char_dup_ratio", "dup_line_char_frac", "above", dup),
        Rule("list_ratio", "newline_word_ratio", "above", config.max_newline_word_ratio),
    ]


def run(docs: pl.DataFrame, config: FineWebConfig, sides: Sides) -> pl.DataFrame:
    signals = pl.DataFrame([measure(text or "", config) for text in docs["text"]], schema=SIGNALS, orient="row")
    return decide(docs.hstack(signals), rules(config))


def measure(text: str, config: FineWebConfig) -> tuple[float | None, ...]:
    """The signals of one text, in the order of SIGNALS."""
    lines = [line for line in text.split("\n") if line and not line.isspace()]
    if not lines:
        return 0, None, None, None, None
    ends = LINE_ENDS[config.line_ends]
    newlines = text.count("\n")
    return (
        len(lines),
        sum(line[-1] in ends for line in lines) / len(lines),
        sum(len(line) <= config.short_line_length for line in lines) / len(lines),
        repeated(lines)[1] / (len(text) - newlines),
        newlines / len(words(text)),
    )


FINEWEB = Stage(
    name="fineweb",
    version=1,
    run=run,
    config=FineWebConfig,
    needs={"text": pl.String()},
    signals=SIGNALS,
    filters=True,
)
