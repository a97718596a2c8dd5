"""Prompts with their completions as a batch, and what a model makes of them.

In: token ids of prompts and completions. Out: `Answers`, padded on the right; of each completion the sum of its tokens'
log-probabilities, as the methods that compare answers need it. Tokens that nobody chose (a tool's results) are read and not counted.

A answers, T positions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.alignment.logprobs import token_logprobs
from models.transformer.loss import IGNORED
from models.transformer.transformer import Transformer
from models.unusable import Unusable

BATCH_TOKENS = 8192


@dataclass(frozen=True)
class Answer:
    prompt: Sequence[int]
    """At least one token."""
    completion: Sequence[int]
    """At least one token, the one that ends it included where it came to its end."""
    chosen: Sequence[bool] | None = None
    """Of each token of the completion, whether the model says it; None: all."""


@dataclass(frozen=True)
class Answers:
    tokens: Tensor
    """[A, T]: prompt and completion, then 0."""
    targets: Tensor
    """[A, T]: the token that follows each position; IGNORED in the prompt, behind the end and where it was not chosen."""
    last: Tensor
    """[A]: place of the last token of the completion in `tokens`."""

    def to(self, device: torch.device) -> "Answers":
        return Answers(*(one.to(device, non_blocking=True) for one in (self.tokens, self.targets, self.last)))

    @property
    def counts(self) -> Tensor:
        """[A]: tokens that count."""
        return (self.targets != IGNORED).sum(1)


def answers(given: Sequence[Answer]) -> Answers:
    """Raises Unusable where a prompt or a completion is empty."""
    if any(not len(one.prompt) or not len(one.completion) for one in given):
        raise Unusable("found an empty prompt or completion; expected one token or more of both")
    T = max(len(one.prompt) + len(one.completion) for one in given)
    tokens_AT = torch.zeros(len(given), T, dtype=torch.int64)
    targets_AT = torch.full_like(tokens_AT, IGNORED)
    for row, one in enumerate(given):
        begin, end = len(one.prompt), len(one.prompt) + len(one.completion)
        completion = torch.as_tensor(one.completion)
        tokens_AT[row, :begin] = torch.as_tensor(one.prompt)
        tokens_AT[row, begin:end] = completion
        if one.chosen is not None:
            completion = completion.masked_fill(~torch.as_tensor(one.chosen, dtype=torch.bool), IGNORED)
        targets_AT[row, begin - 1 : end - 1] = completion
    return Answers(tokens_AT, targets_AT, torch.tensor([len(one.prompt) + len(one.completion) - 1 for one in given]))


def answer_logprobs(model: Transformer, batch: Answers) -> Tensor:
    """[A], nats, with gradients: of each completion given its prompt, the sum over its tokens."""
    return token_logprobs(model.hidden(batch.tokens), model.output_weight, batch.targets).sum(1)


def batches(given: Sequence[Answer], batch_tokens: int = BATCH_TOKENS) -> Iterator[tuple[list[int], Answers]]:
    """All of `given`, the longest first, with their places; at most `batch_tokens` positions at once, padding included (a single answer
    may have more)."""
    lengths = [len(one.prompt) + len(one.completion) for one in given]
    order = sorted(range(len(given)), key=lambda place: -lengths[place])
    while order:
        size = max(1, batch_tokens // lengths[order[0]])
        yield order[:size], answers([given[place] for place in order[:size]])
        order = order[size:]


def all_logprobs(model: Transformer, given: Sequence[Answer], batch_tokens: int = BATCH_TOKENS) -> list[float]:
    """`answer_logprobs` of each, in order, without gradients."""
    found = [0.0] * len(given)
    with torch.inference_mode():
        for places, batch in batches(given, batch_tokens):
            for place, one in zip(places, answer_logprobs(model, batch.to(model.output_weight.device)).tolist(), strict=True):
                found[place] = one
    return found
