"""Tiny models, rows of conversations and rows of text, made by the stages before fine-tuning."""

from pathlib import Path
from typing import Any

import polars as pl
import torch

from models.formats.pretrained import save_model
from models.tokenizer import bytelevel
from models.tokenizer.load import load
from models.tokenizer.load import made as opened
from models.transformer.shape import Shape
from models.transformer.transformer import Transformer
from stages.posttraining.layout import LAYOUT, LayoutConfig
from stages.posttraining.render import RENDER, RenderConfig
from stages.stage import Input
from stages.tokens.pack import PACK, PackConfig
from stages.tokens.tokenize import TOKENIZE, TokenizeConfig
from storage.shards import encode
from tests.stages.posttraining.conftest import frame, talk

T = 96


def tokenizer(folder: Path) -> Input:
    texts = ["How much is 12 + 34? It is 46. Indeed. Be brief. user assistant system tool"] * 5
    opened(bytelevel.train(texts, 300)).save(folder)
    return listed(folder)


def listed(folder: Path) -> Input:
    return Input(folder, tuple(sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())))


def model(folder: Path, vocabulary: Input, seed: int = 0, context: int = T, **shape: Any) -> Input:
    """With random weights, and the vocabulary's tokenizer beside it."""
    tokenizer = load(vocabulary.folder)
    torch.manual_seed(seed)
    given = {"width": 32, "layers": 2, "heads": 2, "kv_heads": 1, "head_width": 16, "hidden": 64} | shape
    made = Transformer(Shape(vocab=tokenizer.size, context=context, **given))
    with torch.no_grad():
        for weight in made.parameters():  # a new model's residual writes are zero: nothing before them would learn at once
            weight.add_(torch.randn_like(weight) * 0.05)
    folder.mkdir(parents=True)
    save_model(made, folder, start=tokenizer.start, stops=tokenizer.stops, pad=tokenizer.pad)
    tokenizer.save(folder)
    return listed(folder)


def chats(folder: Path, vocabulary: Input, count: int = 48, row_length: int = T) -> Input:
    (folder / "rendered").mkdir(parents=True)
    (folder / "laid").mkdir()
    for split, first, last in (("train", 0, count), ("validation", count, count + 8)):
        talks = frame([talk(number) for number in range(first, last)], split)
        docs = RENDER.run(talks, RenderConfig(row_length=row_length), {"tokenizer": vocabulary})
        (folder / "rendered" / f"{split}.parquet").write_bytes(encode(docs, dict(docs.schema)))
    LAYOUT.run(
        {"tokenizer": vocabulary, "chats": listed(folder / "rendered")}, folder / "laid", LayoutConfig(row_length=row_length)
    )
    return listed(folder / "laid")


def texts(folder: Path, vocabulary: Input, row_length: int = T) -> Input:
    """Packed rows, as pretraining reads them."""
    (folder / "tokenized").mkdir(parents=True)
    (folder / "packed").mkdir()
    pages = pl.DataFrame(
        {"id": [str(one) for one in range(60)], "text": [f"Ada sees {one} boats near the mill." for one in range(60)]}
    )
    docs = TOKENIZE.run(pages, TokenizeConfig(validation=0.1), {"tokenizer": vocabulary})
    schema = TOKENIZE.schema({name: docs.schema[name] for name in pages.columns if name in docs.columns})
    (folder / "tokenized" / "pages.parquet").write_bytes(encode(docs, schema))
    PACK.run(
        {"tokenizer": vocabulary, "pages": listed(folder / "tokenized")}, folder / "packed", PackConfig(row_length=row_length)
    )
    return listed(folder / "packed")
