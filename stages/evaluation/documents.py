"""Documents for an evaluation: held-out text, on which nothing was trained, and text that the model was trained on.

Where they come from, by the names of the stage's inputs:

| input | what | gives |
|---|---|---|
| held_out | own text: a .parquet or .jsonl file, or a folder or artifact of them, column `text` (and `id`, if there is one) | held-out text |
| training | the same | training text |
| text + tokens | a corpus with id and text, and what `tokenize` made of it: its `split` says what is held out | both, where not given |

Documents that `tokenize` refused (contaminated ones) are neither. A sample is drawn by a hash of seed and id, so that it stays the
same when other documents come or go; ids alone are read for it.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from stages.stage import Input
from storage.problem import Problem

SUFFIXES = (".parquet", ".jsonl", ".jsonl.gz", ".jsonl.zst")


@dataclass(frozen=True)
class Document:
    id: str
    text: str


def held_out(inputs: Mapping[str, Any], count: int, seed: int) -> list[Document] | None:
    """Up to `count` documents (0 = all) that were held out; None where the inputs have no such text. Raises Problem if it is empty."""
    return _documents(inputs, "held_out", "validation", count, seed)


def training(inputs: Mapping[str, Any], count: int, seed: int) -> list[Document] | None:
    """As `held_out`, of documents that the model was trained on."""
    return _documents(inputs, "training", "train", count, seed)


def _documents(inputs: Mapping[str, Any], name: str, split: str, count: int, seed: int) -> list[Document] | None:
    if name in inputs:
        found = _own(files(inputs[name]), count, seed)
    elif "text" in inputs and "tokens" in inputs:
        found = _of_split(inputs["text"], inputs["tokens"], split, count, seed)
    else:
        return None
    if not found:
        source = f"`{name}`" if name in inputs else f"the split `{split}` of `tokens`"
        raise Problem(
            f"found no document with text in {source}; expected some"
            + (
                ": raise the share that `tokenize` holds out"
                if split == "validation" and name not in inputs
                else ": check the files"
            )
        )
    return found


def files(given: Path | Input) -> list[Path]:
    """The files of text, sorted."""
    if isinstance(given, Input):
        found = [given.folder / name for name in given.names]
    else:
        found = sorted(path for path in given.rglob("*") if path.is_file()) if given.is_dir() else [given]
    known = [path for path in found if path.name.endswith(SUFFIXES)]
    if not known:
        names = ", ".join(path.name for path in found[:5]) or "nothing"
        raise Problem(f"found {names}; expected files whose names end in {', '.join(SUFFIXES)}")
    return known


def _own(paths: Sequence[Path], count: int, seed: int) -> list[Document]:
    documents = []
    for path in paths:
        lazy = pl.scan_parquet(path) if path.suffix == ".parquet" else pl.scan_ndjson(path)
        try:
            columns = lazy.collect_schema().names()
            if "text" not in columns:
                raise Problem(f"{path.name} has the columns {', '.join(columns)}; expected `text`")
            rows = lazy.select(["text", *(["id"] if "id" in columns else [])]).collect()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise Problem(
                f"cannot read {path.name}: {error}. Expected Parquet, or one JSON object a line, with `text`"
            ) from error
        ids = rows["id"].cast(pl.String).to_list() if "id" in columns else [f"{path.name}:{row}" for row in range(rows.height)]
        documents += [Document(one, text) for one, text in zip(ids, rows["text"].to_list(), strict=True) if text]
    chosen = choose([document.id for document in documents], count, seed)
    return [document for document in documents if document.id in chosen]


def _of_split(text: Input, tokens: Input, split: str, count: int, seed: int) -> list[Document]:
    mine = pl.scan_parquet(tokens.shards).filter(pl.col("split") == split)
    if "reason" in mine.collect_schema().names():
        mine = mine.filter(pl.col("reason").is_null())
    chosen = choose(mine.select("id").collect()["id"].to_list(), count, seed)
    texts = pl.scan_parquet(text.shards).select("id", "text").filter(pl.col("id").is_in(sorted(chosen))).collect()
    if texts.height < len(chosen):
        missing = min(chosen - set(texts["id"]))
        raise Problem(f"`tokens` holds {missing}, which `text` lacks; expected the corpus that these tokens were made of")
    return [Document(*row) for row in texts.iter_rows() if row[1]]


def choose(ids: Sequence[str], count: int, seed: int) -> set[str]:
    """`count` of the ids (0 = all): those whose hash with the seed is lowest."""
    if not count or count >= len(ids):
        return set(ids)
    return set(heapq.nsmallest(count, set(ids), key=lambda one: hashlib.sha256(f"{seed} {one}".encode()).digest()))
