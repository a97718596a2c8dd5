"""A small model with its tokenizer, and text, for the stages of a release."""

import random
from pathlib import Path

import polars as pl
import torch

from models.chat.template import save_template
from models.formats.pretrained import save_model
from models.tokenizer import bytelevel
from models.tokenizer.load import made
from models.transformer.shape import Shape
from models.transformer.transformer import Transformer

SHAPE = Shape(vocab=320, width=256, layers=2, heads=4, kv_heads=2, head_width=64, hidden=256, context=64)
WORDS = [
    "the",
    "river",
    "runs",
    "past",
    "old",
    "houses",
    "where",
    "quiet",
    "people",
    "bake",
    "bread",
    "and",
    "tell",
    "stories",
    "of",
    "ships",
]


def text(documents: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=120)) + "." for _ in range(documents)]


def written_text(path: Path, documents: int = 20, seed: int = 0) -> Path:
    pl.DataFrame({"id": [f"{seed}-{n}" for n in range(documents)], "text": text(documents, seed)}).write_parquet(path)
    return path


def written_model(folder: Path, shape: Shape = SHAPE) -> Path:
    """Not trained, but no noise either: what it expects of a token depends on the token before."""
    torch.manual_seed(0)
    model = Transformer(shape)
    for weight in model.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=weight.shape[-1] ** -0.5)
    tokenizer = made(bytelevel.train(text(20, 9), 320))
    save_model(model, folder, start=tokenizer.start, stops=tokenizer.stops, pad=tokenizer.pad)
    tokenizer.save(folder)
    save_template(folder)
    return folder
