"""Mixture of experts: a router sends each token to the best few of many small SwiGLU networks (Fedus et al. 2021; Qwen3-MoE).

In: [B, T, D]. Out: [B, T, D]; every token reaches all of its chosen experts, none is dropped for want of room.

How training keeps the experts equally busy (a forward pass with gradients leaves behind, at no cost to anyone who does not ask):

| asked of the Transformer | answer |
|---|---|
| `model.balance()` | scalar, fp32, with gradient: the load-balance loss of the last forward pass, **summed over its B*T positions**, times `experts.balance`, mean over layers; 0 for a dense model. Training adds it to the sum of nll *before* it divides by the number of tokens of the global step |
| `model.take_load()` | [L, E] int64: tokens that each expert was sent since the last call, None for a dense model; sum it over ranks |
| `load_figures(load)` | what to log of it: highest and lowest share of an expert, entropy |

The loss is that of Fedus et al. 2021, section 2.2, E * sum_e f_e * P_e (f: share of the choices, times `active` as transformers has it;
P: mean probability), taken for each row by itself, as DeepSeek-V2 (2024, section 2.2.3) does: so it adds up over micro-batches and
ranks, and how a step is cut into them does not change it.

B rows, T positions, N = B*T tokens, D width, E experts, F hidden of one expert, A active experts of a token, L layers.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.transformer.linear import Linear
from models.transformer.shape import Experts


class MixtureOfExperts(nn.Module):
    def __init__(self, width: int, experts: Experts) -> None:
        super().__init__()
        self.experts = experts
        self.router = Linear(width, experts.count)
        self.gate = nn.Parameter(torch.empty(experts.count, experts.hidden, width))
        self.up = nn.Parameter(torch.empty(experts.count, experts.hidden, width))
        self.down = nn.Parameter(torch.empty(experts.count, width, experts.hidden))
        self.balance: Tensor | None = None
        self.load: Tensor | None = None  # [E] int64; no buffer, or DDP would overwrite it with rank 0's

    def __getstate__(self) -> dict[str, Any]:
        """A copy begins without a past: the balance loss has a graph, which cannot be copied."""
        return self.__dict__ | {"balance": None, "load": None}

    def forward(self, x_BTD: Tensor) -> Tensor:
        flat_ND = x_BTD.reshape(-1, x_BTD.shape[-1])
        probabilities_NE = F.softmax(self.router(flat_ND), -1, dtype=torch.float32)
        weights_NA, chosen_NA = probabilities_NE.topk(self.experts.active, -1)
        if torch.is_grad_enabled():
            self._note(probabilities_NE, chosen_NA, x_BTD.shape[0])
        if self.experts.normalised:
            weights_NA = weights_NA / weights_NA.sum(-1, keepdim=True)
        order = chosen_NA.flatten().argsort(stable=True)  # [N*A]: the choices of expert 0 first, then those of 1 ...
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order), device=order.device)
        chosen_E = torch.arange(self.experts.count, device=order.device)
        ends_E = torch.searchsorted(chosen_NA.flatten()[order], chosen_E, right=True).to(torch.int32)
        mine = cast(Tensor, _Sent.apply(flat_ND, order, place))
        gate, up, down = (weight.to(x_BTD.dtype).mT for weight in (self.gate, self.up, self.down))
        answers = _grouped(F.silu(_grouped(mine, gate, ends_E)) * _grouped(mine, up, ends_E), down, ends_E)
        back_NAD = answers.index_select(0, place).view(*chosen_NA.shape, -1)
        return (back_NAD * weights_NA[..., None].to(x_BTD.dtype)).sum(1).view_as(x_BTD)

    def _note(self, probabilities_NE: Tensor, chosen_NA: Tensor, rows: int) -> None:
        """Keep the balance loss of these rows and count who was chosen."""
        E = self.experts.count
        chosen_NE = torch.zeros_like(probabilities_NE).scatter_(1, chosen_NA, 1)
        load_E = chosen_NE.sum(0).to(torch.int64)
        self.load = load_E if self.load is None else self.load + load_E
        share_BE = chosen_NE.view(rows, -1, E).mean(1)
        mean_BE = probabilities_NE.view(rows, -1, E).mean(1)
        self.balance = E * (share_BE * mean_BE).sum() * (len(chosen_NA) / rows)


def _grouped(x: Tensor, weight_EIO: Tensor, ends_E: Tensor) -> Tensor:
    """Each expert's rows of `x`, which end before `ends_E`, times its matrix."""
    if x.dtype == torch.bfloat16 and all(size % 8 == 0 for size in weight_EIO.shape[1:]):  # what the kernel asks for
        return F.grouped_mm(x, weight_EIO, offs=ends_E)
    ends = [0, *ends_E.tolist()]
    pieces = x.split([after - before for before, after in pairwise(ends)])
    return torch.cat([piece @ weight for piece, weight in zip(pieces, weight_EIO.unbind(), strict=True)])


class _Sent(torch.autograd.Function):
    """Rows [N, D] once for each choice, in the order of the experts. The gradients of a row's choices are added up in the order of the
    choices: PyTorch's own would add them in any order on CUDA."""

    @staticmethod
    def forward(ctx: Any, x_ND: Tensor, order: Tensor, place: Tensor) -> Tensor:
        ctx.save_for_backward(place)
        ctx.active = len(order) // len(x_ND)
        return x_ND.index_select(0, order // ctx.active)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:
        (place,) = ctx.saved_tensors
        (up,) = upstream
        return up.index_select(0, place).view(-1, ctx.active, up.shape[-1]).sum(1), None, None


@dataclass(frozen=True)
class LoadFigures:
    """Over all layers; a perfectly even load has highest = lowest = 1/E and entropy 1."""

    highest: float
    """Largest share of a layer's choices that one expert had."""
    lowest: float
    entropy: float
    """Of the shares, mean over layers, divided by ln E."""


def load_figures(load_LE: Tensor) -> LoadFigures:
    share_LE = load_LE.double() / load_LE.sum(-1, keepdim=True).clamp_min(1)
    entropy = torch.special.entr(share_LE).sum(-1).mean() / torch.log(torch.tensor(float(load_LE.shape[-1])))
    return LoadFigures(float(share_LE.max()), float(share_LE.min()), float(entropy))
