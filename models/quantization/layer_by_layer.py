"""All matrices of a model as small integers, block after block: each is measured on what the rounded blocks before it give.

In: a dense Llama or Qwen3 model, rows of calibration text, a method, a grid. Out: parameter -> Codes; the model itself is changed
in place and stands for them. The embedding, the output matrix and the norms stay as they are.

| method | |
|---|---|
| rtn | to the nearest level, without a look at the text |
| awq | the same after scaling columns (awq.py) |
| gptq | with compensation (gptq.py) |

N tokens, T positions, D width.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from models.quantization.awq import smooth
from models.quantization.gptq import gptq
from models.quantization.integers import Codes, Grid, round_to_nearest
from models.transformer.linear import Linear
from models.transformer.transformer import Transformer
from models.unusable import Unusable

Method = Literal["rtn", "awq", "gptq"]
SAMPLE = 2048
"""Tokens on which AWQ compares scales."""


def to_integers(model: Transformer, rows: Sequence[Tensor], method: Method, grid: Grid) -> Iterator[dict[str, Codes]]:
    """Of each block, when it is done. `rows`: batches [B, T]; `rtn` reads none."""
    if model.shape.family == "gpt2" or model.shape.experts is not None:
        raise Unusable("int4 and int8 weights are made of dense Llama and Qwen3 models; expected one, or make a GGUF file")
    with torch.no_grad():
        states = [] if method == "rtn" else [_embedded(model, tokens_BT) for tokens_BT in rows]
    for index, block in enumerate(model.blocks):
        with torch.no_grad():
            found = _block(model, block, states, method, grid)
            states = [_through(model, block, x) for x in states]
        yield {f"blocks.{index}.{path}.weight": codes for path, codes in found.items()}


def _block(model: Transformer, block: Any, states: list[Tensor], method: Method, grid: Grid) -> dict[str, Codes]:
    matrices = {path: module for path, module in block.named_modules() if isinstance(module, Linear)}
    measured = {} if method == "rtn" else _measured(model, block, matrices, states, method)
    if method == "awq":
        smooth(block, measured, grid)
    found: dict[str, Codes] = {}
    for path, matrix in matrices.items():
        weight = matrix.weight.detach().cpu()
        found[path] = gptq(weight, measured[path].cpu(), grid) if method == "gptq" else round_to_nearest(weight, grid)
        matrix.weight.copy_(found[path].weight())
    return found


def _embedded(model: Transformer, tokens_BT: Tensor) -> Tensor:
    embedded: Tensor = model.embedding(tokens_BT.to(model.embedding.weight.device))
    return embedded.to(model.compute)


def _through(model: Transformer, block: Any, x_BTD: Tensor) -> Tensor:
    T = x_BTD.shape[1]
    turn = model.cos[:T].to(x_BTD.dtype), model.sin[:T].to(x_BTD.dtype)
    out: Tensor = block(x_BTD, turn, None, None)
    return out


def _measured(
    model: Transformer, block: Any, matrices: dict[str, Linear], states: list[Tensor], method: Method
) -> dict[str, Tensor]:
    """Of each matrix's inputs: their products (gptq), or a sample of them (awq)."""
    found: dict[str, Tensor] = {}
    positions = sum(state.shape[:-1].numel() for state in states)
    every = max(1, positions // SAMPLE)

    def noting(path: str) -> Any:
        def note(module: Any, given: tuple[Tensor]) -> None:
            x_NI = given[0].flatten(0, -2).float()
            if method == "gptq":
                found[path] = found.get(path, 0) + x_NI.T @ x_NI
            else:
                found[path] = torch.cat((found[path], x_NI[::every])) if path in found else x_NI[::every]

        return note

    handles = [matrix.register_forward_pre_hook(noting(path)) for path, matrix in matrices.items()]
    for state in states:
        _through(model, block, state)
    for handle in handles:
        handle.remove()
    return found
