"""Log-probabilities of a prompt's own tokens, for evaluations by likelihood: `echo` with `logprobs`.

In: a model and a prompt. Out: for every token but the first its log-probability given those before it, and the best tokens of its
position. The distribution is the model's own, at temperature 1.

T positions, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from models.transformer.transformer import Transformer

LOGITS = 1 << 22
"""Logits at a time (16 MB in fp32)."""


@dataclass(frozen=True)
class PromptScores:
    """Without the first token, of which nothing is said."""

    logprobs: list[float]
    top: list[list[tuple[int, float]]]
    """(token, log-probability), the best first; empty lists where none were asked for."""


def prompt_scores(model: Transformer, prompt: Sequence[int], top: int) -> PromptScores:
    """`top` best tokens for each position. The prompt is at most as long as the model's context."""
    logprobs: list[float] = []
    best: list[list[tuple[int, float]]] = []
    with torch.inference_mode():
        tokens_T = torch.tensor(prompt, device=model.embedding.weight.device)
        if len(prompt) > 1:
            hidden_TD = model.hidden(tokens_T[None])[0, :-1]
            size = max(1, LOGITS // model.shape.vocab)
            for hidden, targets in zip(hidden_TD.split(size), tokens_T[1:].split(size), strict=True):
                all_TV = model.logits(hidden).float().log_softmax(-1)
                logprobs += all_TV.gather(1, targets[:, None])[:, 0].tolist()
                found = all_TV.topk(min(top, model.shape.vocab))
                pairs = zip(found.indices.tolist(), found.values.tolist(), strict=True)
                best += [list(zip(ids, values, strict=True)) for ids, values in pairs]
    return PromptScores(logprobs, best)
