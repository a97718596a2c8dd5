"""Tokenizer: a vocabulary learnt from a corpus, and how well it fits.

In: `docs`, shards with id and text (and language). Out, in `out`:

| file | |
|---|---|
| tokenizer.json, tokenizer_config.json, tokenizer.model (sentencepiece) | what `models.tokenizer.load` and transformers read |
| vocabulary.parquet | every token: id i32, bytes binary, kind string (normal, control, byte or unused), as the viewer reads it |
| fertility.parquet, longest.parquet, report.md | how it fits texts that it was not trained on (`fertility.py`) |

The same documents and settings give the same bytes, whatever the shards, their order and the number of threads. Documents are drawn by a
hash of their ids (`sample.py`), also those that `tokenize` later puts into validation.

Memory: what the trainer takes: about ten times the text that is trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import Field, model_validator

from models.tokenizer import bytelevel, sentence_piece
from models.tokenizer.load import made
from models.tokenizer.pretokenizers import Pretokenizer
from models.tokenizer.tokenizer import Tokenizer
from stages.stage import Config, Input, Stage
from stages.tokens.fertility import FERTILITY, LONGEST, fit, markdown
from stages.tokens.sample import draw, measured, trained
from storage.shards import encode

VOCABULARY: dict[str, pl.DataType] = {"id": pl.Int32(), "bytes": pl.Binary(), "kind": pl.String()}


class TokenizerConfig(Config):
    """Which vocabulary is learnt, and from how much text."""

    kind: Literal["bytelevel", "sentencepiece"] = "bytelevel"
    """Byte-level BPE, or sentencepiece BPE with byte fallback."""
    size: int = Field(32_768, ge=300, le=1_000_000)
    """Tokens in the vocabulary, reserved ones included."""
    pretokenizer: Pretokenizer = "qwen2"
    """bytelevel: how text is cut into words before anything is merged; the names are those of GGUF files."""
    split_digits: bool = True
    """sentencepiece: every digit is a token of its own."""
    coverage: float = Field(0.9995, ge=0.9, le=1)
    """sentencepiece: share of the characters of the text that get a token of their own; the others are spelled in bytes."""
    max_bytes: int = Field(100_000_000, ge=1_000, le=100_000_000_000)
    """Text that is trained on: documents drawn at random until there are as many bytes."""
    seed: int = Field(0, ge=0, le=2**32 - 1)
    """Another seed, other documents."""

    @model_validator(mode="after")
    def _no_setting_without_effect(self) -> TokenizerConfig:
        foreign = {"bytelevel": ("split_digits", "coverage"), "sentencepiece": ("pretokenizer",)}[self.kind]
        for name in foreign:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"`{name}` does nothing where kind is {self.kind}; leave it out, or choose the other kind")
        return self


def run(inputs: Mapping[str, Input], out: Path, config: TokenizerConfig) -> dict[str, Any]:
    """Writes the files. Raises Problem where there is no text, Unusable where it does not give `size` tokens."""
    shards = inputs["docs"].shards
    sample = draw(shards, config.max_bytes, config.seed)
    texts = trained(shards, sample)
    if config.kind == "bytelevel":
        tokenizer = made(bytelevel.train(texts, config.size, config.pretokenizer))
    else:
        tokenizer = made(sentence_piece.train(texts, config.size, config.split_digits, config.coverage))
    fitted = fit(tokenizer, measured(shards, sample))
    tokenizer.save(out)
    (out / "vocabulary.parquet").write_bytes(encode(vocabulary(tokenizer), VOCABULARY))
    (out / "fertility.parquet").write_bytes(encode(fitted.fertility, FERTILITY))
    (out / "longest.parquet").write_bytes(encode(fitted.longest, LONGEST))
    on = "documents that were held out" if sample.held_out else "the documents that it was trained on"
    title = (
        f"{config.kind}, {tokenizer.size:,} tokens from {sample.documents:,} documents ({sample.bytes / 1e6:,.1f} MB), on {on}"
    )
    (out / "report.md").write_text(markdown(title, fitted), encoding="utf-8")
    in_all = fitted.fertility.row(0, named=True)
    return {
        "size": tokenizer.size,
        "documents": sample.documents,
        "bytes": sample.bytes,
        "held_out_documents": sample.held_out,
        "measured_bytes": in_all["bytes"],
        "bytes_per_token": in_all["bytes_per_token"],
        "tokens_per_word": in_all["tokens_per_word"],
        "unused_fraction": fitted.unused,
        "longest_token_bytes": int(fitted.longest["bytes"].max()),  # type: ignore[arg-type]
    }


def vocabulary(tokenizer: Tokenizer) -> pl.DataFrame:
    """VOCABULARY of any tokenizer."""
    rows = [(n, piece, kind) for n, (piece, kind) in enumerate(tokenizer.pieces())]
    return pl.DataFrame(rows, schema=VOCABULARY, orient="row")


TOKENIZER = Stage(name="tokenizer", version=1, run=run, config=TokenizerConfig, shape="whole")
