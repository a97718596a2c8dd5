"""An index over a corpus: chunks, a search by words (BM25) and a search by meaning (vectors).

In: `docs`, any artifact whose shards have `id`, `url`, `text` and perhaps `title` (rows with a `reason` are left out); optionally
`embedder`, the folder of a sentence-transformers model, else the vectors are made from the corpus itself. Out:

| file | holds |
|---|---|
| chunks.parquet | chunk, id, url, title, text : string; start, end i64: characters of the document's text; in order of the corpus |
| keywords/ | BM25 over title and text (stages/retrieval/keywords.py) |
| vectors.npy | f32 [chunks, dimensions], rows of length 1 |
| svd_*.npy | how a query becomes a vector (stages/retrieval/vectors.py); absent with `embedder` |
| index.json | numbers of documents, chunks, terms and dimensions; the kind of the vectors; with `embedder`, the vector of PROBE |

No file is a pickle. The same corpus gives the same bytes (with `embedder`: on the same kind of device, with as many threads).
Memory: some 0.3 GB and 5 KB a chunk; 60,000 chunks of 150 words take 40 CPU-seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from pydantic import Field, model_validator

from stages.retrieval import keywords, vectors
from stages.retrieval.chunks import chunks
from stages.retrieval.embedder import load_embedder
from stages.retrieval.terms import terms
from stages.stage import Config, Input, Stage
from storage.problem import Problem
from storage.shards import encode, read_parquet

CHUNKS: dict[str, pl.DataType] = {
    "chunk": pl.String(),  # id of the document, #, number
    "id": pl.String(),
    "url": pl.String(),
    "title": pl.String(),  # null where there is none
    "text": pl.String(),
    "start": pl.Int64(),
    "end": pl.Int64(),
}
PROBE = "What keeps the same company comes close."
"""A text whose vector tells one embedding model from another."""
ROWS = 1_000
"""Documents in memory at a time."""


class IndexConfig(Config):
    words: int = Field(default=150, ge=10, le=2000)
    """Most words of a chunk."""
    overlap: int = Field(default=30, ge=0, le=1000)
    """Most words that a chunk repeats of the one before; fewer than `words`."""
    k1: float = Field(default=1.5, ge=0, le=10)
    """BM25: how soon a term's repetitions stop to count."""
    b: float = Field(default=0.75, ge=0, le=1)
    """BM25: how much the length of a chunk counts."""
    dimensions: int = Field(default=256, ge=2, le=2048)
    """Of the vectors that are made from the corpus."""
    most_terms: int = Field(default=50_000, ge=100, le=1_000_000)
    """Terms that these vectors know: those in most chunks."""
    seed: int = Field(default=1, ge=0)
    """Of the randomized SVD."""

    @model_validator(mode="after")
    def _room(self) -> IndexConfig:
        if self.overlap >= self.words:
            raise ValueError(f"overlap is {self.overlap} and words {self.words}; a chunk must be longer than what it repeats")
        return self


def run(inputs: Mapping[str, Any], out: Path, config: IndexConfig) -> dict[str, int]:
    """Write the index to `out`. Back: numbers of documents, chunks, terms and dimensions. Raises Problem where there is no text."""
    documents = 0
    made: list[tuple[Any, ...]] = []
    for identity, url, title, text in rows(inputs["docs"]):
        documents += 1
        for number, (start, end) in enumerate(chunks(text, config.words, config.overlap)):
            made.append((f"{identity}#{number}", identity, url, title, text[start:end], start, end))
    frame = pl.DataFrame(made, schema=CHUNKS, orient="row")
    del made
    if frame.is_empty():
        raise Problem(f"found no text in {documents} documents; expected a corpus to search in: give another artifact")
    (out / "chunks.parquet").write_bytes(encode(frame, CHUNKS))

    vocabulary: dict[str, int] = {}
    counted = [[vocabulary.setdefault(term, len(vocabulary)) for term in terms(searched)] for searched in searchable(frame)]
    if not vocabulary:
        raise Problem(f"found no letter and no digit in {frame.height} chunks; expected text: give another artifact")
    keywords.build(counted, vocabulary, config.k1, config.b, out / "keywords")

    facts: dict[str, Any] = {"documents": documents, "chunks": frame.height, "terms": len(vocabulary)}
    if "embedder" in inputs:
        embed = load_embedder(inputs["embedder"])
        vectors_CD = embed(list(searchable(frame)))
        facts |= {"vectors": "embedder", "probe": [round(float(number), 6) for number in embed([PROBE])[0]]}
    else:
        vectors_CD = vectors.build(counted, config.dimensions, config.most_terms, config.seed, out)
        facts |= {"vectors": "svd"}
    np.save(out / "vectors.npy", vectors_CD)
    facts["dimensions"] = vectors_CD.shape[1]
    (out / "index.json").write_text(json.dumps(facts, indent=2) + "\n")
    return {name: facts[name] for name in ("documents", "chunks", "terms", "dimensions")}


def rows(docs: Input) -> Iterator[tuple[str, str, str | None, str]]:
    """(id, url, title, text) of every document that was kept."""
    for path in docs.shards:
        found = pq.read_schema(path).names
        missing = [name for name in ("id", "url", "text") if name not in found]
        if missing:
            raise Problem(
                f"{path.name} has no {', '.join(missing)}; expected the shards of a corpus (id, url, text): it has {', '.join(found)}"
            )
        columns = ["id", "url", "text", *(name for name in ("title", "reason") if name in found)]
        shard = read_parquet(str(path), columns, kept="reason" in found)
        for part in shard.iter_slices(ROWS):
            for row in part.iter_rows(named=True):
                yield row["id"], row["url"], row.get("title"), row["text"] or ""


def searchable(frame: pl.DataFrame) -> Iterator[str]:
    """What is searched of each chunk: title and text, for a chunk may say "he" of whom its page is about."""
    for title, text in frame.select("title", "text").iter_rows():
        yield f"{title}\n{text}" if title else text


INDEX = Stage(name="index", version=2, run=run, config=IndexConfig, shape="whole")
