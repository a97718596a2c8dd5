"""What each matrix of a model is multiplied by: the mean square of every input column over some text, its importance for
quantization.

In: a model and rows of tokens. Out: parameter -> `Columns`: fp32 [I], of a stack of experts [E, I], over the tokens that reached
each. An expert that none reached has ones: no column counts more than another. The embedding and the output matrix are left out,
as in llama.cpp's imatrix.

B rows, T positions, N tokens, I input columns, E experts, A active experts of a token.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from models.transformer.experts import MixtureOfExperts
from models.transformer.linear import Linear
from models.transformer.transformer import Transformer


@dataclass(frozen=True)
class Columns:
    mean_square: npt.NDArray[np.float32]
    tokens: npt.NDArray[np.int64]
    """How many reached the matrix: one number, of experts [E]."""


class _Sums:
    def __init__(self) -> None:
        self.squares: dict[str, Tensor] = {}
        self.counts: dict[str, Tensor] = {}

    def add(self, name: str, squares: Tensor, counts: Tensor) -> None:
        squares = squares.cpu()
        self.squares[name] = self.squares.get(name, torch.zeros_like(squares)) + squares
        self.counts[name] = self.counts.get(name, torch.zeros_like(counts)) + counts


def column_importance(model: Transformer, rows: Iterable[Tensor]) -> dict[str, Columns]:
    """`rows`: batches [B, T]."""
    sums = _Sums()
    handles = []
    for path, module in model.blocks.named_modules(prefix="blocks"):
        if isinstance(module, MixtureOfExperts):
            handles.append(module.register_forward_pre_hook(_of_experts(sums, path)))
        elif isinstance(module, Linear) and not path.endswith(".router"):
            handles.append(module.register_forward_pre_hook(_of_matrix(sums, f"{path}.weight")))
    try:
        with torch.inference_mode():
            for tokens_BT in rows:
                model.hidden(tokens_BT.to(model.embedding.weight.device))
    finally:
        for handle in handles:
            handle.remove()
    return {name: _columns(sums.squares[name], sums.counts[name]) for name in sums.squares}


def _columns(squares: Tensor, counts: Tensor) -> Columns:
    means = torch.where(counts[..., None] > 0, squares / counts.clamp_min(1)[..., None], torch.ones_like(squares))
    return Columns(means.float().numpy(), np.atleast_1d(counts.numpy()))


def _squares(x: Tensor) -> Tensor:
    return x.flatten(0, -2).double().square().sum(0)


def _of_matrix(sums: _Sums, name: str) -> Callable[[Any, tuple[Tensor]], None]:
    def note(module: Any, given: tuple[Tensor]) -> None:
        (x,) = given
        sums.add(name, _squares(x), torch.tensor(x.shape[:-1].numel()))

    return note


def _of_experts(sums: _Sums, path: str) -> Callable[[Any, tuple[Tensor]], None]:
    def note(experts: Any, given: tuple[Tensor]) -> None:
        flat_ND = given[0].flatten(0, -2)
        chosen_NA = experts.router(flat_ND).topk(experts.experts.active, -1).indices
        outer, inner, counts = [], [], []
        for expert in range(experts.experts.count):
            mine = flat_ND[(chosen_NA == expert).any(-1)]
            gate, up = (F.linear(mine, weight[expert].to(mine.dtype)) for weight in (experts.gate, experts.up))
            outer.append(_squares(mine))
            inner.append(_squares(F.silu(gate) * up))
            counts.append(len(mine))
        for name, squares in (("gate", outer), ("up", outer), ("down", inner)):
            sums.add(f"{path}.{name}", torch.stack(squares), torch.tensor(counts))

    return note
