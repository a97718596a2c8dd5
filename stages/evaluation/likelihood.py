"""Texts to requests for `models.transformer.score`, and the choice among alternatives by their likelihood.

Every text begins as a document does in training: with the tokenizer's token for it (a foreign tokenizer without one: its first stop
token, as in lm-evaluation-harness).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import takewhile

from models.tokenizer.tokenizer import Tokenizer
from models.transformer.score import Request, score
from models.transformer.transformer import Transformer
from storage.problem import Problem


def beginning(tokenizer: Tokenizer) -> int:
    """The token from which the first token of a text is predicted."""
    if tokenizer.start is not None:
        return tokenizer.start
    if tokenizer.stops:
        return tokenizer.stops[0]
    raise Problem(
        "found a tokenizer with no token that begins or ends a document, so the first token of a text cannot be predicted; expected "
        "a bos_token or an eos_token in its tokenizer_config.json"
    )


def pair(tokenizer: Tokenizer, context: str, continuation: str) -> Request:
    """As lm-evaluation-harness encodes a pair: both together, cut behind as many tokens as the context alone has; spaces at the end of
    the context go to the continuation."""
    words = context.rstrip()
    continuation = context[len(words) :] + continuation
    before = tokenizer.encode(words) if words else []
    ids = tokenizer.encode(words + continuation)[len(before) :]
    return Request([beginning(tokenizer), *before], ids)


def alternatives(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Request]:
    """Texts that differ towards their ends as one context, the tokens that all begin with, and what follows it in each."""
    encoded = [[beginning(tokenizer), *ids] for ids in tokenizer.encode_batch(texts)]
    places = zip(*(ids[:-1] for ids in encoded), strict=False)
    common = max(1, sum(1 for _ in takewhile(lambda place: len(set(place)) == 1, places)))
    return [Request(ids[:common], ids[common:]) for ids in encoded]


def scored(model: Transformer, sets: Sequence[Sequence[Request]]) -> list[list[tuple[float, int]]]:
    """For every request of every set: the log-probability of its continuation, and how many tokens of its context did not fit."""
    found = iter(score(model, [request for requests in sets for request in requests]))
    return [[(one.total, one.cut) for one in (next(found) for _ in requests)] for requests in sets]


def best(totals: Sequence[float], sizes: Sequence[int] | None = None) -> int:
    """The likeliest; with `sizes`, by log-probability over size. The first of equals, as in lm-evaluation-harness."""
    values = totals if sizes is None else [total / max(size, 1) for total, size in zip(totals, sizes, strict=True)]
    if any(math.isnan(value) for value in values):
        raise Problem("found log-probabilities that are no numbers; expected a model whose weights are finite: train it again")
    return max(range(len(values)), key=values.__getitem__)
