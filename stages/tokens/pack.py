"""Pack: tokenized documents into rows of equal length, ready for training.

In: the artifacts of `tokenize`, each under the name of its corpus, and `tokenizer`. Out: `train-00000.parquet` and on,
`validation-00000.parquet` and on, each with rows of one corpus:

| column | type | meaning |
|---|---|---|
| tokens | list(i32) | row_length + 1 of them: x = tokens[:-1], y = tokens[1:]; padded with the tokenizer's pad |
| document_starts | list(i32) | places of the start tokens; the first is 0 |
| used | i32 | tokens before the padding |
| bytes | i64 | UTF-8 bytes of the row's text, by what its tokens stand for |
| source | string | name of the corpus |

`corpora.parquet`, by corpus and split:

| column | type | |
|---|---|---|
| source, split | string | |
| documents, cut_documents | i64 | all; those longer than a row, which go on in others |
| tokens | i64 | of the documents, start and end included |
| bytes | i64 | of their text |
| rows | i64 | |
| padding | f64 | share of the rows' places without a token |

and `packing.json`: row_length, start, pad, size (of the vocabulary) and vocabulary (its digest).

Documents are taken in buffers of `buffer_tokens`, in the order of shards' names; each buffer is laid out by itself (`layout.py`) and
becomes one shard, so memory does not grow with the corpora.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import Field

from stages.stage import Config, Input, Stage
from stages.tokens.layout import Layout, lay_out
from stages.tokens.split import TRAIN, VALIDATION
from stages.tokens.vocabulary import vocabulary
from storage.problem import Problem
from storage.shards import encode, read_parquet

PACKED: dict[str, pl.DataType] = {
    "tokens": pl.List(pl.Int32()),
    "document_starts": pl.List(pl.Int32()),
    "used": pl.Int32(),
    "bytes": pl.Int64(),
    "source": pl.String(),
}
CORPORA: dict[str, pl.DataType] = {
    "source": pl.String(),
    "split": pl.String(),
    "documents": pl.Int64(),
    "cut_documents": pl.Int64(),
    "tokens": pl.Int64(),
    "bytes": pl.Int64(),
    "rows": pl.Int64(),
    "padding": pl.Float64(),
}


class PackConfig(Config):
    """How long rows are, and by which chance documents meet in them."""

    row_length: int = Field(1024, ge=8, le=1 << 20)
    """T: predictions in a row, which holds one token more."""
    seed: int = Field(0, ge=0, le=2**32 - 1)
    """Another seed, other documents in a row and another order of rows."""
    buffer_tokens: int = Field(1 << 23, ge=1 << 10, le=1 << 28)
    """Tokens of documents that are fitted into rows together, and so of a shard."""


@dataclass
class Tally:
    """What was packed of one corpus and split."""

    documents: int = 0
    cut: int = 0
    tokens: int = 0
    bytes: int = 0
    rows: int = 0
    used: int = 0


def run(inputs: Mapping[str, Any], out: Path, config: PackConfig) -> dict[str, Any]:
    """Write the shards; counts over all corpora. Raises Problem on a corpus that cannot be trained on, Unusable on no tokenizer."""
    known = vocabulary(inputs["tokenizer"])
    tokenizer = known.tokenizer
    about = {
        "row_length": config.row_length,
        "start": tokenizer.start,
        "pad": tokenizer.pad,
        "size": tokenizer.size,
        "vocabulary": known.digest,
    }
    corpora: dict[str, Input] = {name: given for name, given in sorted(inputs.items()) if name != "tokenizer"}
    if not corpora:
        raise Problem("found no corpus to pack, expected the artifact of `tokenize` under the name of the corpus; give one")
    spelled = np.array([len(piece) if kind in ("normal", "byte") else 0 for piece, kind in tokenizer.pieces()], np.int64)
    tallies = {(name, split): Tally() for name in corpora for split in (TRAIN, VALIDATION)}
    shards = {TRAIN: 0, VALIDATION: 0}
    told = _teller(out / ".progress.jsonl", sum(len(corpus.shards) for corpus in corpora.values()))
    for name, corpus in corpora.items():
        documents = _documents(name, corpus, known.digest, told)
        for number, (split, docs) in enumerate(_buffers(documents, config.buffer_tokens)):
            tokens, lengths = docs["tokens"].explode().to_numpy(), docs["tokens"].list.len().cast(pl.Int64).to_numpy()
            seed = (config.seed, name, split, number)
            laid = lay_out(tokens, lengths, config.row_length + 1, tokenizer.start, tokenizer.pad, spelled, seed)
            (out / f"{split}-{shards[split]:05}.parquet").write_bytes(encode(_frame(laid, name), PACKED))
            shards[split] += 1
            _count(tallies[name, split], docs, laid)
        _check_corpus(name, tallies[name, TRAIN], tallies[name, VALIDATION])
    _check_length(config.row_length, [tallies[name, TRAIN] for name in corpora])
    rows = [_line(name, split, tally, config.row_length + 1) for (name, split), tally in tallies.items()]
    (out / "corpora.parquet").write_bytes(encode(pl.DataFrame(rows, schema=CORPORA, orient="row"), CORPORA))
    (out / "packing.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return _stats(tallies, config.row_length + 1)


def _teller(path: Path, total: int) -> Callable[[], None]:
    """Says at each call that one more shard has been read."""
    done = 0

    def told() -> None:
        nonlocal done
        done += 1
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"done": done, "total": total, "unit": "shards"}) + "\n")

    return told


def _documents(name: str, corpus: Input, wanted: str, told: Callable[[], None]) -> Iterator[pl.DataFrame]:
    """The documents that were kept, a shard at a time."""
    for path in sorted(corpus.shards):
        try:
            docs = read_parquet(str(path), ["tokens", "split", "bytes", "vocabulary", "reason"], kept=True)
        except (pa.ArrowInvalid, OSError) as error:
            raise Problem(f"cannot read {path}: {error}. Delete it and run the flow again: it is made anew") from error
        other = docs["vocabulary"].filter(docs["vocabulary"] != wanted)
        if len(other):
            raise Problem(
                f"the corpus {name!r} was tokenized with another tokenizer: vocabulary {other[0]}, expected {wanted}; tokenize it with the "
                "tokenizer that is given here"
            )
        yield docs.select("tokens", "split", "bytes")
        told()


def _buffers(shards: Iterable[pl.DataFrame], most: int) -> Iterator[tuple[str, pl.DataFrame]]:
    """The same documents in frames of one split and at most so many tokens (or one document), wherever shards end."""
    held: dict[str, pl.DataFrame] = {}
    for docs in shards:
        for split in (TRAIN, VALIDATION):
            of_split = docs.filter(pl.col("split") == split)
            held[split] = pl.concat([held[split], of_split]) if split in held else of_split
            full, held[split] = _full(held[split], most)
            for frame in full:
                yield split, frame
    for split, frame in held.items():
        if frame.height:
            yield split, frame


def _full(docs: pl.DataFrame, most: int) -> tuple[list[pl.DataFrame], pl.DataFrame]:
    """What fills buffers, and the rest."""
    ends = docs["tokens"].list.len().cast(pl.Int64).cum_sum().to_numpy()
    full, begin, behind = [], 0, 0
    while (to := max(int(np.searchsorted(ends, behind + most, side="right")), begin + 1)) < docs.height:
        full.append(docs[begin:to])
        begin, behind = to, int(ends[to - 1])
    return full, docs[begin:]


def _frame(laid: Layout, name: str) -> pl.DataFrame:
    rows, row = laid.tokens.shape
    return pl.DataFrame(
        {
            "tokens": _lists(laid.tokens.reshape(-1), np.arange(rows + 1) * row),
            "document_starts": _lists(laid.starts, laid.first),
            "used": laid.used,
            "bytes": laid.bytes,
            "source": [name] * rows,
        },
        schema=PACKED,
    )


def _lists(values: Any, first: Any) -> pl.Series:
    arrow = pa.LargeListArray.from_arrays(first.astype(np.int64), values.astype(np.int32, copy=False))
    return pl.Series(arrow, dtype=pl.List(pl.Int32))


def _count(tally: Tally, docs: pl.DataFrame, laid: Layout) -> None:
    tally.documents += docs.height
    tally.cut += laid.cut
    tally.tokens += int(docs["tokens"].list.len().sum())
    tally.bytes += int(docs["bytes"].sum())
    tally.rows += len(laid.used)
    tally.used += int(laid.used.sum())


def _check_corpus(name: str, train: Tally, validation: Tally) -> None:
    if not train.documents:
        raise Problem(
            f"the corpus {name!r} has no document to train on ({validation.documents} for validation), expected one at least; look at what "
            "was dropped (winnow show tokenize), lower `validation`, or leave the corpus out"
        )


def _check_length(row_length: int, trained: list[Tally]) -> None:
    tokens = sum(tally.tokens for tally in trained)
    if tokens <= row_length:
        raise Problem(
            f"a row of {row_length:,} + 1 tokens is longer than all training text, which has {tokens:,} tokens; lower `row_length` or give "
            "more text"
        )


def _line(name: str, split: str, tally: Tally, row: int) -> tuple[Any, ...]:
    return (name, split, tally.documents, tally.cut, tally.tokens, tally.bytes, tally.rows, _padding([tally], row))


def _padding(tallies: list[Tally], row: int) -> float:
    places = sum(tally.rows for tally in tallies) * row
    return 1 - sum(tally.used for tally in tallies) / places if places else 0.0


def _stats(tallies: Mapping[tuple[str, str], Tally], row: int) -> dict[str, Any]:
    stats: dict[str, Any] = {"corpora": len(tallies) // 2}
    for split in (TRAIN, VALIDATION):
        of_split = [tally for (_, other), tally in tallies.items() if other == split]
        stats |= {
            f"{split}_documents": sum(tally.documents for tally in of_split),
            f"{split}_cut_documents": sum(tally.cut for tally in of_split),
            f"{split}_tokens": sum(tally.tokens for tally in of_split),
            f"{split}_bytes": sum(tally.bytes for tally in of_split),
            f"{split}_rows": sum(tally.rows for tally in of_split),
            f"{split}_padding": _padding(of_split, row),
        }
    return stats


PACK = Stage(name="pack", version=1, run=run, config=PackConfig, shape="whole")
