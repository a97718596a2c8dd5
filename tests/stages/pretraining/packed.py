"""A tiny tokenizer and tiny packed rows, made by the stages before pretraining."""

import random
from pathlib import Path

import polars as pl

from models.tokenizer import bytelevel
from stages.stage import REASON, Input
from stages.tokens.pack import PACK, PackConfig
from stages.tokens.tokenize import TOKENIZE, TokenizeConfig
from storage.shards import encode

LENGTH = 32


def sentences(count: int, seed: int) -> list[str]:
    """A grammar that a tiny model learns something of."""
    draw = random.Random(seed)
    people, things = ("Ada", "Ben", "Cleo", "Dan"), ("the red door", "a small boat", "the old mill", "a blue kite")
    return [f"{draw.choice(people)} sees {draw.choice(things)} near {draw.choice(things)}, {place}." for place in range(count)]


def made(folder: Path) -> Input:
    """What lies in a folder."""
    return Input(folder, tuple(sorted(path.name for path in folder.iterdir())))


def tokenizer(folder: Path, size: int = 300, seed: int = 0) -> Input:
    folder.mkdir(parents=True)
    for name, data in bytelevel.train(sentences(200, seed), size).items():
        (folder / name).write_bytes(data)
    return made(folder)


def tokens(folder: Path, pieces: Input, count: int = 150, length: int = LENGTH, validation: float = 0.1, seed: int = 1) -> Input:
    """Rows packed from `count` sentences."""
    texts = pl.DataFrame({"id": [str(place) for place in range(count)], "text": sentences(count, seed)})
    docs = TOKENIZE.run(texts, TokenizeConfig(validation=validation), {"tokenizer": pieces})
    (folder / "tokenized").mkdir(parents=True)
    schema = TOKENIZE.schema({name: docs.schema[name] for name in texts.columns if name in docs.columns})
    assert set(REASON) <= set(schema)
    (folder / "tokenized" / "corpus.parquet").write_bytes(encode(docs, schema))
    (folder / "packed").mkdir()
    PACK.run({"tokenizer": pieces, "corpus": made(folder / "tokenized")}, folder / "packed", PackConfig(row_length=length))
    return made(folder / "packed")


def world(folder: Path) -> dict[str, Input]:
    """Inputs of `pretrain`."""
    pieces = tokenizer(folder / "tokenizer")
    return {"tokenizer": pieces, "tokens": tokens(folder / "tokens", pieces)}
