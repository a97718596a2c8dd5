"""Tiny tokenizers and tokenized corpora, made by the code that makes large ones."""

import json
from pathlib import Path
from typing import Any

import polars as pl
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from models.tokenizer import bytelevel
from stages.stage import Input
from stages.tokens.tokenize import TOKENIZE, TokenizeConfig
from storage.shards import encode

LETTERS = "the rain in Spain stays mainly in the plain, and the plane is late again. "


def folder(path: Path) -> Input:
    """What lies there."""
    return Input(path, tuple(sorted(file.name for file in path.iterdir())))


def tokenizer(path: Path, size: int = 290) -> Path:
    """Byte-level BPE with the reserved tokens; another size is another tokenizer."""
    path.mkdir()
    for name, data in bytelevel.train([LETTERS * 20], size).items():
        (path / name).write_bytes(data)
    return path


def foreign(path: Path) -> Path:
    """Bytes alone, in Hugging Face's format, without a token that begins a document; what ends one also pads."""
    path.mkdir()
    alphabet = {character: id for id, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    engine = Tokenizer(models.BPE(vocab=alphabet, merges=[]))
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    engine.decoder = decoders.ByteLevel()
    engine.add_special_tokens([AddedToken("<|endoftext|>", special=True)])
    engine.save(str(path / "tokenizer.json"))
    (path / "tokenizer_config.json").write_text(json.dumps({"bos_token": None, "eos_token": "<|endoftext|>"}))
    return path


def tokenized(docs: pl.DataFrame, config: TokenizeConfig | None = None, **sides: Any) -> pl.DataFrame:
    return TOKENIZE.run(docs, config or TokenizeConfig(), sides)


def corpus(path: Path, texts: list[str], pieces: Path, validation: float = 0.0, shards: int = 1) -> Input:
    """The artifact of `tokenize` over `texts`, whose ids are their numbers."""
    path.mkdir()
    docs = pl.DataFrame(
        {"id": [str(n) for n in range(len(texts))], "text": texts}, schema={"id": pl.String(), "text": pl.String()}
    )
    size = -(-docs.height // shards)
    for n in range(shards):
        frame = tokenized(docs[n * size : (n + 1) * size], TokenizeConfig(validation=validation), tokenizer=pieces)
        (path / f"part-p{n:04}-00000000.parquet").write_bytes(encode(frame, TOKENIZE.schema(docs.schema)))
    return folder(path)
