"""A tiny tokenizer and tiny packed rows, as the stages before pretraining leave them."""

import random
from pathlib import Path

import polars as pl

from models.tokenizer import bytelevel
from models.tokenizer.load import load
from models.tokenizer.reserved import END, START
from models.tokenizer.tokenizer import Tokenizer
from stages.stage import Input

LENGTH = 32
ROWS: dict[str, pl.DataType] = {
    "tokens": pl.List(pl.Int32()),
    "document_starts": pl.List(pl.Int32()),
    "used": pl.Int32(),
    "source": pl.String(),
}


def sentences(count: int, seed: int) -> list[str]:
    """A grammar that a tiny model learns something of."""
    draw = random.Random(seed)
    people, things = ("Ada", "Ben", "Cleo", "Dan"), ("the red door", "a small boat", "the old mill", "a blue kite")
    return [f"{draw.choice(people)} sees {draw.choice(things)} near {draw.choice(things)}." for _ in range(count)]


def tokenizer(folder: Path) -> Input:
    folder.mkdir(parents=True)
    for name, data in bytelevel.train(sentences(200, 0), 300).items():
        (folder / name).write_bytes(data)
    return Input(folder, tuple(sorted(path.name for path in folder.iterdir())))


def tokens(folder: Path, made: Tokenizer, train: int = 64, validation: int = 12, length: int = LENGTH, seed: int = 1) -> Input:
    """Rows of `length` + 1 tokens, the last of them padded."""
    folder.mkdir(parents=True)
    for split, count in (("train", train), ("validation", validation)):
        rows = [_row(made, length + 1, random.Random(f"{seed} {split} {place}")) for place in range(count)]
        pl.DataFrame(rows, schema=ROWS, orient="row").write_parquet(folder / f"{split}-00000.parquet")
    return Input(folder, ("train-00000.parquet", "validation-00000.parquet"))


def _row(made: Tokenizer, length: int, draw: random.Random) -> tuple[list[int], list[int], int, str]:
    ids: list[int] = []
    starts: list[int] = []
    while True:
        document = [made.special[START], *made.encode(sentences(1, draw.randrange(1000))[0]), made.special[END]]
        if len(ids) + len(document) > length:
            break
        starts.append(len(ids))
        ids += document
    return ids + [made.pad] * (length - len(ids)), starts, len(ids), "corpus"


def world(folder: Path) -> dict[str, Input]:
    """Inputs of `pretrain`."""
    pieces = tokenizer(folder / "tokenizer")
    return {"tokenizer": pieces, "tokens": tokens(folder / "tokens", load(pieces.folder))}
