"""Tokenize: documents as tokens, kept apart for training and validation; training text that an evaluation asks about is tagged.

In: id, text and what the stage keeps of other columns; sides `tokenizer` and, optional, `evaluations` (files as `evaluations.py`
reads them). Out:

| column | type | meaning |
|---|---|---|
| tokens | list(i32) | document start, the text's tokens, document end |
| token_count | i64 | tokens of the text without start and end |
| bytes | i64 | of the text as UTF-8 |
| split | string | train or validation (`split.py`) |
| vocabulary | string | digest of what the ids stand for (`vocabulary.py`) |
| contaminated_ngrams | i64 | signal: places at which an n-gram of an evaluation text begins; null in validation, and without evaluations |
| contaminated_frac | f64 | signal: of all places |
| contaminated_by | string | signal: the first, as `file:record: words` |

| reason | |
|---|---|
| empty | no text |
| contaminated | more n-grams of evaluation texts than `max_ngrams` (`contamination.py`) |

The text is gone: its tokens give it back. Where the documents have a column `cluster` (behind `dedup`), near-duplicates go one way.
"""

from __future__ import annotations

from itertools import chain

import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import Field

from stages.rules import Rule, decide
from stages.stage import Config, Sides, Stage
from stages.tokens.contamination import index, overlap
from stages.tokens.folded import fold
from stages.tokens.split import TRAIN, split
from stages.tokens.vocabulary import Vocabulary, vocabulary

BATCH = 64  # texts encoded at a time: an encoding holds some hundred bytes per token

KEEPS = ("id", "dump", "url", "title", "language", "minhash_cluster_size")
ADDS: dict[str, pl.DataType] = {
    "tokens": pl.List(pl.Int32()),
    "token_count": pl.Int64(),
    "bytes": pl.Int64(),
    "split": pl.String(),
    "vocabulary": pl.String(),
}
SIGNALS: dict[str, pl.DataType] = {
    "contaminated_ngrams": pl.Int64(),
    "contaminated_frac": pl.Float64(),
    "contaminated_by": pl.String(),
}


class TokenizeConfig(Config):
    """How documents are divided, and how much an evaluation may have in common with training text."""

    validation: float = Field(0.005, ge=0, le=0.5)
    """Share of the documents that is kept for validation."""
    ngram: int = Field(13, ge=2, le=50)
    """Words in a row that a training text may not have in common with an evaluation text (GPT-3: 13)."""
    min_words: int = Field(8, ge=1, le=50)
    """Words that a shorter evaluation text must have to be looked for, as a whole (GPT-3's smallest n: 8)."""
    max_ngrams: int = Field(0, ge=0, le=1_000_000)
    """n-grams of evaluation texts that a training text may have: some quotations are common property."""


def rules(config: TokenizeConfig) -> list[Rule]:
    return [
        Rule("empty", "bytes", "below", 1),
        Rule("contaminated", "contaminated_ngrams", "above", config.max_ngrams, "contaminated_by"),
    ]


def run(docs: pl.DataFrame, config: TokenizeConfig, sides: Sides) -> pl.DataFrame:
    """`docs` without text, with tokens, split, signals and reason. Raises Problem or Unusable on an unreadable side."""
    known = vocabulary(sides["tokenizer"])
    texts = docs["text"].fill_null("")
    words = fold(texts)
    tokens = encode(texts, known)
    signals = pl.DataFrame(schema=SIGNALS).clear(docs.height)
    if (evaluations := sides.get("evaluations")) is not None:
        found = overlap(texts, words, index(evaluations, config.ngram, config.min_words))
        signals = pl.DataFrame(dict(zip(SIGNALS, (found.ngrams, found.share, found.examples), strict=True)), schema=SIGNALS)
    out = docs.select(name for name in KEEPS if name in docs.columns).with_columns(
        tokens.alias("tokens"),
        (tokens.list.len().cast(pl.Int64) - (1 if known.tokenizer.start is None else 2)).alias("token_count"),
        texts.str.len_bytes().cast(pl.Int64).alias("bytes"),
        split(words.texts, docs["cluster"] if "cluster" in docs.columns else None, config.validation),
        pl.lit(known.digest).alias("vocabulary"),
    )
    trained = out["split"] == TRAIN
    tagged = signals.select(pl.when(trained).then(pl.col(name)).alias(name) for name in SIGNALS)
    return decide(out.hstack(tagged), rules(config))


def encode(texts: pl.Series, known: Vocabulary) -> pl.Series:
    """Each text as the tokens of a document: list(i32)."""
    start = [] if known.tokenizer.start is None else [known.tokenizer.start]
    parts, lengths = [np.empty(0, np.int32)], [0]
    for at in range(0, len(texts), BATCH):
        documents = [[*start, *ids, known.end] for ids in known.tokenizer.encode_batch(texts[at : at + BATCH].to_list())]
        lengths += map(len, documents)
        parts.append(np.fromiter(chain.from_iterable(documents), np.int32))
    lists = pa.LargeListArray.from_arrays(np.cumsum(lengths), np.concatenate(parts))
    return pl.Series("tokens", lists, dtype=pl.List(pl.Int32))


TOKENIZE = Stage(
    name="tokenize",
    version=1,
    run=run,
    config=TokenizeConfig,
    needs={"id": pl.String(), "text": pl.String()},
    keeps=KEEPS,
    adds=ADDS,
    signals=SIGNALS,
    filters=True,
    sides={"tokenizer": "artifact", "evaluations": "file"},
)
