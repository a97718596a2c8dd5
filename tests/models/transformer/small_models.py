"""Tiny models of every kind, with weights random enough that no two tokens are equally good."""

from dataclasses import replace

import torch

from models.transformer.shape import Experts, Llama3Scaling, Shape
from models.transformer.transformer import Transformer

QWEN = Shape(vocab=97, width=32, layers=2, heads=4, kv_heads=2, head_width=8, hidden=48, context=64)
SHAPES = {
    "dense with grouped queries and QK-norm": QWEN,
    "Llama with its own output matrix and scaled rotation": replace(
        QWEN, qk_norm=False, tied=False, kv_heads=4, scaling=Llama3Scaling(8.0, 1.0, 4.0, 32)
    ),
    "GPT-2": replace(QWEN, family="gpt2", qk_norm=False, kv_heads=4, eps=1e-5),
    "experts": replace(QWEN, experts=Experts(count=4, active=2, hidden=16)),
}


def small_model(kind: str = "dense with grouped queries and QK-norm", compute: torch.dtype = torch.float32) -> Transformer:
    draw = torch.Generator().manual_seed(1)
    model = Transformer(SHAPES[kind], compute)
    for name, weight in model.named_parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=1.5 * weight.shape[-1] ** -0.5, generator=draw)
        elif name.endswith("bias"):
            torch.nn.init.normal_(weight, std=0.1, generator=draw)
    return model
