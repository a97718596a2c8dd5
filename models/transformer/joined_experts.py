"""`MixtureOfExperts` laid out for generation: the tokens are sorted by expert once, so that each expert costs two products and no search.

B rows, T positions, N = B*T tokens, D width, E experts, A active experts of a token, F hidden of one expert.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.transformer.experts import MixtureOfExperts
from models.transformer.product import Product


class JoinedExperts(nn.Module):
    def __init__(self, experts: MixtureOfExperts, router: Any, dtype: torch.dtype, rows: int) -> None:
        super().__init__()
        self.experts = experts.experts
        self.router = router
        matrices = zip(experts.gate, experts.up, experts.down, strict=True)
        self.products = [
            (Product([gate, up], [None, None], dtype, rows), Product([down], [None], dtype, rows)) for gate, up, down in matrices
        ]

    def forward(self, x_BTD: Tensor) -> Tensor:
        flat_ND = x_BTD.reshape(-1, x_BTD.shape[-1])
        weights_NA, chosen_NA = F.softmax(self.router(flat_ND), -1, dtype=torch.float32).topk(self.experts.active, -1)
        if self.experts.normalised:
            weights_NA = weights_NA / weights_NA.sum(-1, keepdim=True)
        by_expert = chosen_NA.view(-1).argsort(stable=True)
        token = by_expert // self.experts.active
        mine = flat_ND[token]  # [N * A, D]
        answers = []
        for (gate_up, down), part in zip(self.products, mine.split(self._load(chosen_NA)), strict=True):
            if len(part):
                gate, up = gate_up(part).chunk(2, -1)
                answers.append(down(F.silu(gate) * up))
        answer = torch.cat(answers) * weights_NA.view(-1)[by_expert, None].to(x_BTD.dtype)
        return torch.zeros_like(flat_ND).index_add_(0, token, answer).view_as(x_BTD)

    def _load(self, chosen_NA: Tensor) -> list[int]:
        """How many of the choices fell on each expert: [E]."""
        load: list[int] = chosen_NA.view(-1).bincount(minlength=self.experts.count).tolist()
        return load
