"""What is asked of generation, and what comes back: values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from models.transformer.sampling import PLAIN, Sampling
from models.unusable import Unusable


@dataclass(frozen=True)
class Request:
    prompt: Sequence[int]
    max_new_tokens: int = 100
    """Of the completion, put-in tokens included; fewer where the model's context ends."""
    sampling: Sampling = PLAIN
    stops: Sequence[int] = ()
    """Any of these tokens ends the completion, as its last one."""
    seed: int = 0
    top_logprobs: int = 0
    """The log-probabilities of so many best tokens are given for each position."""
    stop_when: Callable[[Sequence[int]], bool] | None = None
    """Asked after each chosen token with the completion so far: is it at its end? (Stop strings, for example.)"""
    answer: Callable[[Sequence[int]], Sequence[int]] | None = None
    """Asked after each chosen token with the completion so far: tokens to put in behind it before going on; none, mostly. (Tools.)"""


@dataclass(frozen=True)
class Completion:
    tokens: list[int]
    logprobs: list[float]
    """Of the model's own distribution at the sampling temperature, without penalty and truncation; 0 where a token was put in."""
    chosen: list[bool]
    """False where a token was put in by `answer`."""
    finish_reason: Literal["stop", "length"]
    top_logprobs: list[list[tuple[int, float]]] = field(default_factory=list)
    """By position, the best first; only where they were asked for."""


@dataclass(frozen=True)
class Token:
    """One more token of a request; with its last one comes the completion."""

    ticket: int
    token: int
    logprob: float
    chosen: bool
    completion: Completion | None
    top: list[tuple[int, float]] = field(default_factory=list)
    """The best tokens of its position with their log-probabilities; only where they were asked for."""


def room(context: int, request: Request) -> int:
    """Positions that a request may come to."""
    if not request.prompt:
        raise Unusable("the prompt is empty; give at least one token, such as the one that begins a document")
    if request.max_new_tokens < 1:
        raise Unusable(f"max_new_tokens is {request.max_new_tokens}; expected at least 1")
    if len(request.prompt) >= context:
        raise Unusable(
            f"the prompt has {len(request.prompt)} tokens, the model's context {context}: no room for an answer. Shorten the prompt to "
            f"{context - 1} tokens or fewer"
        )
    return min(len(request.prompt) + request.max_new_tokens, context)
