"""How well a vocabulary fits texts: bytes a token, tokens a word by language, and which of its tokens they use.

| fertility | type | meaning |
|---|---|---|
| language | string | `all` in the first row, then by bytes |
| documents, bytes, words, tokens | i64 | words: runs without white space; null in languages that write none |
| bytes_per_token | f64 | |
| tokens_per_word | f64 | fertility: 1 where every word is one token |

| longest | type | meaning |
|---|---|---|
| id | i32 | |
| piece | string | bytes that are no UTF-8 as U+FFFD |
| bytes | i32 | its length |
| count | i64 | how often the texts have it: a long token that they lack was learnt from a few documents alone |

Source: fertility as in Rust et al. 2021, "How Good is Your Tokenizer?", section 4 (of words by white space, not of a treebank).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from models.tokenizer.tokenizer import Tokenizer

FERTILITY: dict[str, pl.DataType] = {
    "language": pl.String(),
    "documents": pl.Int64(),
    "bytes": pl.Int64(),
    "words": pl.Int64(),
    "tokens": pl.Int64(),
    "bytes_per_token": pl.Float64(),
    "tokens_per_word": pl.Float64(),
}
LONGEST: dict[str, pl.DataType] = {"id": pl.Int32(), "piece": pl.String(), "bytes": pl.Int32(), "count": pl.Int64()}

UNSPACED = ("bo", "dz", "ja", "km", "lo", "my", "th", "wuu", "yue", "zh")
"""Languages, as lid.176 calls them, that put no spaces between words."""
SHOWN = 200
"""Rows of `longest`."""
NAMED = 40
"""Tokens that the report names."""
_BATCH = 64  # texts encoded at a time


@dataclass(frozen=True)
class Fit:
    fertility: pl.DataFrame
    longest: pl.DataFrame
    unused: float
    """Share of the tokens, reserved ones apart, that the texts do not use."""


def fit(tokenizer: Tokenizer, documents: Iterable[tuple[str, str]]) -> Fit:
    """`documents`: (text, language)."""
    counts = np.zeros(tokenizer.size, np.int64)
    rows: list[tuple[str, int, int, int]] = []
    given = iter(documents)
    while batch := list(itertools.islice(given, _BATCH)):
        tokens = tokenizer.encode_batch([text for text, _ in batch])
        counts += np.bincount(np.concatenate([np.asarray(ids, np.int64) for ids in tokens]), minlength=len(counts))
        for (text, language), ids in zip(batch, tokens, strict=True):
            rows.append((language, len(text.encode()), len(text.split()), len(ids)))
    measured = pl.DataFrame(rows, schema=["language", "bytes", "words", "tokens"], orient="row")
    return Fit(_fertility(measured), _longest(tokenizer, counts), _unused(tokenizer, counts))


def _fertility(measured: pl.DataFrame) -> pl.DataFrame:
    spaced = ~pl.col("language").is_in(UNSPACED)
    sums = [
        pl.len().cast(pl.Int64).alias("documents"),
        pl.col("bytes").sum(),
        pl.col("words").filter(spaced).sum(),
        pl.col("tokens").sum(),
        pl.col("tokens").filter(spaced).sum().alias("spaced_tokens"),
    ]
    by_language = measured.group_by("language").agg(sums).sort("bytes", "language", descending=[True, False])
    in_all = measured.select(pl.lit("all").alias("language"), *sums)
    words = pl.when(pl.col("words") > 0).then(pl.col("words"))
    return (
        pl.concat([in_all, by_language])
        .with_columns(
            words.alias("words"),
            (pl.col("bytes") / pl.col("tokens")).alias("bytes_per_token"),
            (pl.col("spaced_tokens") / words).alias("tokens_per_word"),
        )
        .select(list(FERTILITY))
        .cast(pl.Schema(FERTILITY))
    )


def _longest(tokenizer: Tokenizer, counts: np.ndarray) -> pl.DataFrame:
    pieces = [(n, piece) for n, (piece, kind) in enumerate(tokenizer.pieces()) if kind == "normal"]
    longest = sorted(pieces, key=lambda one: (-len(one[1]), one[0]))[:SHOWN]
    rows = [(n, piece.decode("utf-8", "replace"), len(piece), int(counts[n])) for n, piece in longest]
    return pl.DataFrame(rows, schema=LONGEST, orient="row")


def _unused(tokenizer: Tokenizer, counts: np.ndarray) -> float:
    normal = np.array([kind == "normal" for _, kind in tokenizer.pieces()])
    return float(np.mean(counts[normal] == 0))


def markdown(title: str, fitted: Fit) -> str:
    """For a person: the table by language, and the longest tokens that are words."""
    rows = [
        f"| {one['language']} | {one['documents']:,} | {one['bytes']:,} | {one['tokens']:,} | {one['bytes_per_token']:.2f} "
        f"| {'' if one['tokens_per_word'] is None else format(one['tokens_per_word'], '.2f')} |"
        for one in fitted.fertility.to_dicts()
    ]
    words = [piece.strip() for piece in fitted.longest["piece"] if any(letter.isalpha() for letter in piece)][:NAMED]
    return "\n".join(
        [
            f"# {title}",
            "",
            "| language | documents | bytes | tokens | bytes per token | tokens per word |",
            "|---|--:|--:|--:|--:|--:|",
            *rows,
            "",
            f"Longest tokens with a letter: {', '.join(f'`{word}`' for word in words) or 'none'}.",
            "",
            f"{fitted.unused:.1%} of the tokens are in none of these documents.",
            "",
        ]
    )
