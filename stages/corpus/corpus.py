"""Corpus: the kept pages with FineWeb's columns and names, then ours, ready for others to read.

In: the columns of `keeps`. Out: these alone, in this order, and

| column | type | |
|---|---|---|
| token_count | i64 | tokens of `text` without special tokens; null where no tokenizer is given |
| minhash_cluster_size | i64 | documents in the cluster that this one stands for; 1 for one without near-copies |
| title, author, published, site_name, extract_confidence | | as `extract` describes them |

`token_count` is that of an external tokenizer, the side `tokenizer`: a Hugging Face `tokenizer.json` (FineWeb used gpt2's). Its
truncation and padding are switched off. The counts of a tokenizer trained here live with its tokens.

Source: the data card of FineWeb (Penedo et al. 2024, arXiv 2406.17557); `minhash_cluster_size` is FineWeb2's. Left out: language_script
and top_langs, which the language model at hand does not tell.
"""

from pathlib import Path

import polars as pl
from tokenizers import Tokenizer

from stages.stage import Config, Sides, Stage
from storage.problem import Problem

BATCH = 64  # texts encoded at a time: an encoding holds some hundred bytes per token

COLUMNS: dict[str, pl.DataType] = {
    "text": pl.String(),
    "id": pl.String(),
    "dump": pl.String(),
    "url": pl.String(),
    "date": pl.String(),
    "file_path": pl.String(),
    "language": pl.String(),
    "language_score": pl.Float64(),
}
ABOUT: dict[str, pl.DataType] = {
    "title": pl.String(),
    "author": pl.String(),
    "published": pl.String(),
    "site_name": pl.String(),
    "extract_confidence": pl.Float64(),
}
ADDS: dict[str, pl.DataType] = {"token_count": pl.Int64(), "minhash_cluster_size": pl.Int64()}


class CorpusConfig(Config):
    """Nothing to set: the tokenizer is a side."""


def run(docs: pl.DataFrame, config: CorpusConfig, sides: Sides) -> pl.DataFrame:
    path: Path | None = sides.get("tokenizer")
    texts = [text or "" for text in docs["text"]]
    counts = [None] * len(texts) if path is None else count_tokens(texts, path)
    return docs.select(*COLUMNS, pl.Series("token_count", counts, dtype=pl.Int64), "minhash_cluster_size", *ABOUT)


def count_tokens(texts: list[str], path: Path) -> list[int]:
    """Tokens of each text by the tokenizer in the file. Raises Problem where the file is no tokenizer."""
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises Exception itself
        raise Problem(
            f"{path.name} is no Hugging Face tokenizer ({error}); give the tokenizer.json of a fast tokenizer, or none"
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    counts = []
    for start in range(0, len(texts), BATCH):
        encodings = tokenizer.encode_batch_fast(texts[start : start + BATCH], add_special_tokens=False)
        counts += [len(encoding) for encoding in encodings]
    return counts


CORPUS = Stage(
    name="corpus",
    version=2,
    run=run,
    config=CorpusConfig,
    needs=COLUMNS | {"minhash_cluster_size": pl.Int64()} | ABOUT,
    adds=ADDS | ABOUT,
    keeps=tuple(COLUMNS),
    sides={"tokenizer": "file"},
)
