"""Muon: momentum whose direction is orthogonalised, for the matrices inside a network (Jordan et al. 2024).

What torch.optim.Muon computes (momentum .95 with Nesterov, five Newton-Schulz steps, the rate times sqrt(max(1, rows / columns))),
but all matrices of one shape at once, in a type of the caller's choice, and for stacks of matrices too: the three-dimensional
weights of a mixture of experts are orthogonalised expert by expert.

N matrices of one shape, R rows, C columns.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic: steepest at zero, so that five steps are enough


def orthogonalise(matrices_NRC: Tensor, steps: int = 5) -> Tensor:
    """Each matrix with its singular values pushed towards one (.7 to 1.2), in the type it comes in."""
    x = matrices_NRC.mT if matrices_NRC.shape[-2] > matrices_NRC.shape[-1] else matrices_NRC  # the smaller Gram matrix
    a, b, c = COEFFICIENTS
    x = x / torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if matrices_NRC.shape[-2] > matrices_NRC.shape[-1] else x


class Muon(torch.optim.Optimizer):
    """`dtype`: in which the orthogonalisation is computed; bfloat16 is enough where the machine is fast at it."""

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        self.dtype = dtype
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.ndim not in (2, 3):
                    raise ValueError(f"Muon moves matrices and stacks of them, found a weight of shape {tuple(weight.shape)}")

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            for weight in weights:
                if not self.state[weight]:
                    self.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
            grads = [weight.grad for weight in weights]
            momenta = [self.state[weight]["momentum_buffer"] for weight in weights]
            torch._foreach_lerp_(momenta, grads, 1 - group["momentum"])
            updates = torch._foreach_lerp(grads, momenta, group["momentum"])  # Nesterov's look ahead
            if group["weight_decay"]:
                torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
            self._move(weights, updates, group["lr"])

    def _move(self, weights: list[Tensor], updates: list[Tensor], lr: float) -> None:
        alike: dict[tuple[int, int], list[int]] = {}
        for place, weight in enumerate(weights):
            alike.setdefault((weight.shape[-2], weight.shape[-1]), []).append(place)
        for (rows, columns), places in alike.items():
            stacked = [updates[place].reshape(-1, rows, columns) for place in places]
            directions = orthogonalise(torch.cat(stacked).to(self.dtype)).split([len(one) for one in stacked])
            scale = lr * max(1.0, rows / columns) ** 0.5
            for place, direction in zip(places, directions, strict=True):
                weights[place].add_(direction.view_as(weights[place]), alpha=-scale)
