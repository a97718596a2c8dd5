"""Who is measured by `winnow bench train`: the same model, once as Winnow trains it and once as its peers do, from the same weights.

| architecture | Winnow's shape | peers |
|---|---|---|
| qwen3, llama, qwen3_moe | the preset, with or without QK-norm | transformers' class |
| gpt2 | as wide and deep; a feed-forward network of as many numbers | transformers' GPT2LMHeadModel, nanoGPT-like |

A step: forward, backward, fused AdamW, all gradients dropped. Weights are fp32; in bf16 the peers compute under autocast.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from flows.commands.bench.nanogpt import NanoGPT
from models.formats.pretrained import save_model
from models.transformer.loss import cross_entropy
from models.transformer.shape import Shape
from models.transformer.transformer import Transformer
from storage.problem import Problem

RATE = 3e-4

Step = Callable[[Tensor], Tensor]
"""Trains on rows of T + 1 tokens; back: the mean loss before the update."""


def architectures(shape: Shape) -> tuple[str, ...]:
    """Those that a preset may be measured as."""
    if shape.family == "gpt2":
        return ("gpt2",)
    return ("qwen3_moe",) if shape.experts is not None else ("qwen3", "llama", "gpt2")


def dressed(shape: Shape, architecture: str) -> Shape:
    if architecture == "gpt2" and shape.family != "gpt2":
        return replace(
            shape,
            family="gpt2",
            qk_norm=False,
            kv_heads=shape.heads,
            hidden=shape.hidden * 3 // 2,
            eps=1e-5,
            context=shape.context,
        )
    return replace(shape, qk_norm=architecture.startswith("qwen3"))


def learners(shape: Shape, architecture: str, dtype: torch.dtype, device: str, compiled: bool) -> Iterator[tuple[str, Step]]:
    torch.manual_seed(0)
    model = Transformer(shape, dtype)
    if shape.family == "gpt2":
        yield "nanoGPT-like", _peer(NanoGPT(model), dtype, device, compiled, lambda peer, x, y: peer(x, y))
    yield (
        "huggingface",
        _peer(_huggingface(model), dtype, device, compiled, lambda peer, x, y: peer(input_ids=x, labels=y, shift_labels=y).loss),
    )
    yield "winnow", _winnow(model.to(device), compiled)


def _winnow(model: Transformer, compiled: bool) -> Step:
    if compiled:
        for block in model.blocks:
            block.compile(dynamic=False)

    def loss(x_BT: Tensor, y_BT: Tensor) -> tuple[Tensor, Tensor]:
        total, count = cross_entropy(model.hidden(x_BT), model.output_weight, y_BT)
        return total / count, (total + model.balance()) / count

    return _stepping(model, loss)


def _huggingface(model: Transformer) -> Any:
    try:
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging
    except ImportError:
        raise Problem("transformers is not installed; it comes with the extra: pip install -e '.[test]'") from None
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, Path(folder), start=None, stops=(), pad=None)
        peer = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).train()
    if model.shape.experts is not None:
        peer.config.output_router_logits = True  # which adds its balance loss
    return peer


def _peer(peer: Any, dtype: torch.dtype, device: str, compiled: bool, mean: Callable[[Any, Tensor, Tensor], Tensor]) -> Step:
    peer.to(device)
    if compiled:
        peer.compile(dynamic=False)

    def loss(x_BT: Tensor, y_BT: Tensor) -> tuple[Tensor, Tensor]:
        mixed: AbstractContextManager[object] = torch.autocast(device, torch.bfloat16, enabled=dtype == torch.bfloat16)
        with mixed:
            value = mean(peer, x_BT, y_BT)
        return value, value

    return _stepping(peer, loss)


def _stepping(model: nn.Module, loss: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Step:
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, fused=True)

    def step(tokens: Tensor) -> Tensor:
        shown, objective = loss(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous())
        objective.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return shown.detach()

    return step
