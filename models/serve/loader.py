"""From a path to a model and its tokenizer: the one place that knows which formats are served.

| path | format |
|---|---|
| a folder with config.json and model.safetensors | Hugging Face's, ours and others' (models/formats/pretrained.py) |
| a file that ends in .gguf, the tokenizer's files beside it | ours (models/formats/gguf_read.py): its quantized weights, read as fp32 |
"""

from pathlib import Path

import torch

from models.formats.gguf_read import load_gguf
from models.formats.pretrained import load_model
from models.tokenizer.load import load
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.transformer import Transformer
from models.unusable import Unusable

GGUF = ".gguf"


def open_model(path: Path, compute: torch.dtype = torch.float32, device: str = "cpu") -> tuple[Transformer, Tokenizer]:
    """Raises Unusable where it is none that can be read."""
    if path.suffix != GGUF:
        return load_model(path, compute, device).eval(), load(path)
    model = load_gguf(path, compute).to(device).eval()
    tokenizer = load(path.parent)
    if tokenizer.size > model.shape.vocab:
        raise Unusable(
            f"{path} has {model.shape.vocab:,} tokens, the tokenizer beside it {tokenizer.size:,}; expected the one that it was made with"
        )
    return model, tokenizer
