"""From a path to a model and its tokenizer: the one place that knows which formats are served.

| path | format |
|---|---|
| a folder with config.json and model.safetensors | Hugging Face's, ours and others' (models/formats/pretrained.py) |
"""

from pathlib import Path

import torch

from models.formats.pretrained import load_model
from models.tokenizer.load import load
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.transformer import Transformer


def open_model(path: Path, compute: torch.dtype = torch.float32, device: str = "cpu") -> tuple[Transformer, Tokenizer]:
    """Raises Unusable where it is none that can be read."""
    tokenizer = load(path)
    return load_model(path, compute, device).eval(), tokenizer
