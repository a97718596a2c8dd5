"""Which optimizer moves which weight.

Muon moves the matrices inside the network; embeddings, the output matrix, routers, norms and biases are AdamW's (Loshchilov and
Hutter 2019), for their rows are looked up or compared one by one. Or AdamW moves everything. Frozen weights are left out.
Weight decay acts on what Muon moves, or, with AdamW alone, on everything of two dimensions or more.
"""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import nn
from torch.optim import Optimizer

from models.transformer.muon import Muon

Kind = Literal["muon", "adamw"]

APART = frozenset({"embedding", "positions", "output", "router", "head"})
"""Names of modules whose matrices are not inside the network."""
LOOKED_UP = frozenset({"embedding", "positions"})
"""Those of them of which a step moves few rows by much: they bear higher rates."""


def split(named: Iterable[tuple[str, nn.Parameter]]) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """(matrices inside the network, all others) of those that are to be trained."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, weight in named:
        if weight.requires_grad:
            inside = weight.ndim >= 2 and APART.isdisjoint(name.split("."))
            (matrices if inside else others).append(weight)
    return matrices, others


def optimizers(
    model: nn.Module,
    kind: Kind = "muon",
    *,
    matrix_rate: float = 0.02,
    rate: float = 3e-3,
    embedding_rate: float = 3e-3,
    weight_decay: float = 0.0,
    momentum: float = 0.95,
    betas: tuple[float, float] = (0.9, 0.95),
    compute: torch.dtype = torch.bfloat16,
) -> list[Optimizer]:
    """Peak rates: `matrix_rate` of Muon, `rate` of AdamW, with Muon `embedding_rate` for embeddings. `compute`: the type in which Muon orthogonalises."""
    if kind == "muon":
        matrices, others = split(model.named_parameters())
        found: list[Optimizer] = []
        if matrices:
            found.append(Muon(matrices, lr=matrix_rate, momentum=momentum, weight_decay=weight_decay, dtype=compute))
        looked_up = {weight for name, weight in model.named_parameters() if not LOOKED_UP.isdisjoint(name.split("."))}
        groups = [
            {"params": [weight for weight in others if weight not in looked_up], "lr": rate},
            {"params": [weight for weight in others if weight in looked_up], "lr": embedding_rate},
        ]
        if others:
            found.append(
                torch.optim.AdamW([group for group in groups if group["params"]], betas=betas, weight_decay=0.0, fused=True)
            )
        return found
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in trained if weight.ndim >= 2], "weight_decay": weight_decay},
        {"params": [weight for weight in trained if weight.ndim < 2], "weight_decay": 0.0},
    ]
    return [torch.optim.AdamW([group for group in groups if group["params"]], lr=rate, betas=betas, fused=True)]
