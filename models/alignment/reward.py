"""The reward model: a language model with a scalar head at the last token of an answer, and the loss by which it learns to compare.

A folder of it is a model folder with `reward_head.safetensors` beside the weights: `weight` [1, D], `bias` [1], fp32.

    r(prompt, answer) = weight . hidden(last token) + bias
    P(a better than b) = sigmoid(r(a) - r(b))

The loss of a pair is -log sigmoid(r(chosen) - r(rejected) - margin) (Bradley and Terry 1952; Ouyang et al. 2022, equation 1; the margin:
Touvron et al. 2023, "Llama 2", equation 2). Only differences are learnt; `centring` keeps the scores themselves near zero (Eisenstein et
al. 2023, section 4). The head begins as zero: before the first step all answers are equal.

A answers, T positions, D width, P pairs.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models.alignment.preference import BATCH_TOKENS, Answer, batches
from models.formats.pretrained import load_model
from models.transformer.transformer import Transformer
from models.unusable import Unusable

HEAD = "reward_head.safetensors"


class RewardModel(nn.Module):
    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model
        self.head = nn.Linear(model.shape.width, 1, device=model.embedding.weight.device)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, tokens_AT: Tensor, last_A: Tensor) -> Tensor:
        """[A], fp32: the score at the last token of each answer."""
        hidden_ATD = self.model.hidden(tokens_AT)
        last_AD = hidden_ATD[torch.arange(len(last_A), device=last_A.device), last_A]
        scores_A1: Tensor = self.head(last_AD.to(self.head.weight.dtype))
        return scores_A1[:, 0]


def pair_loss(chosen_P: Tensor, rejected_P: Tensor, margin_P: Tensor | None = None) -> Tensor:
    """[P], of scores. `margin_P`: by how much a chosen answer is to be ahead; None: by nothing."""
    ahead_P = chosen_P - rejected_P
    return -F.logsigmoid(ahead_P if margin_P is None else ahead_P - margin_P)


def centring(chosen_P: Tensor, rejected_P: Tensor) -> Tensor:
    """[P], to be added with a small weight."""
    return torch.square(chosen_P + rejected_P)


def score(model: RewardModel, given: Sequence[Answer], batch_tokens: int = BATCH_TOKENS) -> list[float]:
    """Of each answer, in order. `batch_tokens`: most positions at once, padding included (a single answer may have more)."""
    scores = [0.0] * len(given)
    with torch.inference_mode():
        for places, batch in batches(given, batch_tokens):
            batch = batch.to(model.head.weight.device)
            for place, one in zip(places, model(batch.tokens, batch.last).tolist(), strict=True):
                scores[place] = one
    return scores


def save_head(model: RewardModel, folder: Path) -> None:
    """Beside the language model's own files (`save_model`)."""
    unfinished = folder / f".{HEAD}"
    state = {name: weight.detach().to("cpu", torch.float32).contiguous() for name, weight in model.head.state_dict().items()}
    save_file(state, unfinished)
    os.replace(unfinished, folder / HEAD)


def load_reward_model(folder: Path, compute: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> RewardModel:
    """Raises Unusable where the folder holds no reward model, or one whose head does not fit."""
    path = folder / HEAD
    if not path.is_file():
        raise Unusable(f"{folder} holds no {HEAD}; expected a reward model: train one on preferences")
    model = RewardModel(load_model(folder, compute))
    state = load_file(path)
    expected = {name: list(weight.shape) for name, weight in model.head.state_dict().items()}
    found = {name: list(weight.shape) for name, weight in state.items()}
    if found != expected:
        raise Unusable(f"{path} holds {found}; the model beside it asks for {expected}")
    model.head.load_state_dict(state)
    model.to(device)
    return model
