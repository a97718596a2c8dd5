"""The distance of a student from its teacher in what they expect next, a chunk of positions at a time, so that [B, T, V] logits never exist.

In: hidden states and output matrices of both, targets (IGNORED = not compared), a temperature. Out: the sum over the compared positions
of temperature^2 * KL(teacher || student) in nats, both distributions softened by the temperature, and the number of these positions.
The square keeps the gradient's size the same at every temperature. Source: Hinton, Vinyals, Dean 2015, "Distilling the Knowledge in a
Neural Network", section 2.

N positions, D width of the student, E of the teacher, V vocabulary of both, M positions of a chunk.

As in `loss.py`, the backward pass is done in the forward pass; sums are in fp32.
"""

from typing import Any, cast

import torch
from torch import Tensor

from models.transformer.loss import IGNORED

CHUNK = 2**21
"""Logits of a chunk."""


def divergence(
    hidden: Tensor,
    weight_VD: Tensor,
    teacher_hidden: Tensor,
    teacher_weight_VE: Tensor,
    targets: Tensor,
    temperature: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """(sum, fp32; count, int64); gradients flow to `hidden` [..., D] and `weight_VD` alone."""
    compared_N = targets.reshape(-1) != IGNORED
    hidden_ND = hidden.reshape(-1, hidden.shape[-1])[compared_N]
    teacher_NE = teacher_hidden.detach().reshape(-1, teacher_hidden.shape[-1])[compared_N]
    total = _Fused.apply(hidden_ND, weight_VD, teacher_NE, teacher_weight_VE.detach(), temperature)
    return cast(Tensor, total), compared_N.sum()


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden_ND: Tensor, weight_VD: Tensor, teacher_NE: Tensor, teacher_weight_VE: Tensor, temperature: float
    ) -> Tensor:
        weight, teacher_weight = weight_VD.to(hidden_ND.dtype), teacher_weight_VE.to(teacher_NE.dtype)
        wide = torch.promote_types(hidden_ND.dtype, torch.float32)
        total = torch.zeros((), dtype=wide, device=hidden_ND.device)
        hidden_grad_ND = torch.empty_like(hidden_ND)
        weight_grad_VD = torch.zeros(weight.shape, dtype=wide, device=weight.device)
        step = max(128, CHUNK // len(weight))
        for first in range(0, len(hidden_ND), step):
            rows = slice(first, first + step)
            chunk_MD = hidden_ND[rows]
            log_student_MV = torch.log_softmax((chunk_MD @ weight.T).to(wide) / temperature, -1)
            log_teacher_MV = torch.log_softmax((teacher_NE[rows] @ teacher_weight.T).to(wide) / temperature, -1)
            teacher_MV = log_teacher_MV.exp()
            total += temperature**2 * (teacher_MV * (log_teacher_MV - log_student_MV)).sum()
            error_MV = (temperature * (log_student_MV.exp() - teacher_MV)).to(weight.dtype)
            hidden_grad_ND[rows] = error_MV @ weight
            weight_grad_VD += error_MV.T @ chunk_MD
        ctx.save_for_backward(hidden_grad_ND, weight_grad_VD)
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        hidden_grad_ND, weight_grad_VD = ctx.saved_tensors
        return hidden_grad_ND * upstream[0].to(hidden_grad_ND.dtype), weight_grad_VD * upstream[0], None, None, None
