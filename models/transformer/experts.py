"""Mixture of experts: a router sends each token to the best few of many small SwiGLU networks (Fedus et al. 2021; Qwen3-MoE).

N tokens, D width, E experts, F hidden of one expert.
"""

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

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        probabilities = F.softmax(self.router(flat), -1, dtype=torch.float32)
        weights, chosen = probabilities.topk(self.experts.active, -1)  # [N, active]
        if self.experts.normalised:
            weights = weights / weights.sum(-1, keepdim=True)
        out = torch.zeros_like(flat)
        for expert in range(self.experts.count):
            row, place = torch.where(chosen == expert)
            if row.numel() == 0:
                continue
            mine = flat[row]
            gate, up, down = (weight[expert].to(x.dtype) for weight in (self.gate, self.up, self.down))
            answer = F.linear(F.silu(F.linear(mine, gate)) * F.linear(mine, up), down)
            out.index_add_(0, row, answer * weights[row, place, None].to(x.dtype))
        return out.view_as(x)
