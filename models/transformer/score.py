"""Log-likelihoods of continuations given contexts: what evaluation by likelihood is made of.

In: pairs of ids (`Request`). Out: for each pair, in order, a `Score`: the log-probability of every token of the continuation and
whether greedy decoding would have written just these tokens (what lm-evaluation-harness calls `loglikelihood`).

Requests that share a context are laid out in one row: the context once, then its continuations side by side; each of these sees the
context and itself alone, and its positions go on where the context ends. Rows of like length form a batch, padded on the right, of
bounded size; only the positions that predict something meet the output matrix. The scores are those of one request at a time, up to
the rounding of sums that are taken in another order.

A pair that is longer than the model's context loses the beginning of its context, as in lm-evaluation-harness: what stays is the last
T + 1 tokens of context and continuation together.

B rows, T positions, D width, V vocabulary, N predictions.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.transformer.transformer import Transformer
from models.unusable import Unusable

SHARED = 2048
"""Longest row that holds several continuations: its mask has this many squared entries."""
LOGITS = 1 << 22
"""Logits at a time (16 MB in fp32)."""

Pair = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True)
class Request:
    context: Sequence[int]
    """At least one token: where there is none, what begins a document."""
    continuation: Sequence[int]
    """At least one token, at most as many as the model's context."""


@dataclass(frozen=True)
class Score:
    logprobs: npt.NDArray[np.float64]
    """Natural logarithms, one for each token of the continuation."""
    greedy: bool
    """Whether each token is the likeliest at its place."""
    cut: int
    """Tokens of the context that were dropped on the left."""

    @property
    def total(self) -> float:
        return float(self.logprobs.sum())


@dataclass(frozen=True)
class Row:
    """A context and some of its continuations; the last token of each continuation is predicted and never read."""

    context: tuple[int, ...]
    continuations: tuple[tuple[int, ...], ...]

    @property
    def length(self) -> int:
        return len(self.context) + sum(len(continuation) - 1 for continuation in self.continuations)


def score(model: Transformer, requests: Sequence[Request], batch_tokens: int = 4096) -> list[Score]:
    """A score for each request. `batch_tokens`: most positions of a batch, padding included (a single row may have more).

    Raises Unusable for an empty context or continuation, and for a continuation that is longer than the model's context.
    """
    pairs = [_fit(request, model.shape.context) for request in requests]
    found: dict[Pair, tuple[npt.NDArray[np.float64], bool]] = {}
    with torch.inference_mode():
        for batch in _batches(_rows(pairs, model.shape.context), batch_tokens):
            found |= _measure(model, batch)
    return [Score(*found[pair], cut=len(request.context) - len(pair[0])) for request, pair in zip(requests, pairs, strict=True)]


def _fit(request: Request, limit: int) -> Pair:
    if not request.context or not request.continuation:
        raise Unusable(
            f"a context of {len(request.context)} and a continuation of {len(request.continuation)} tokens; expected one token or "
            "more of both: begin with the token that begins a document"
        )
    if len(request.continuation) > limit:
        raise Unusable(
            f"a continuation of {len(request.continuation)} tokens, and the model's context is {limit}; expected one that fits: "
            "cut it into windows"
        )
    spare = limit + 1 - len(request.continuation)
    return tuple(request.context[-spare:]), tuple(request.continuation)


def _rows(pairs: Sequence[Pair], limit: int) -> list[Row]:
    """Every pair once; those of the same context together, as many as a row may hold."""
    groups: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for context, continuation in dict.fromkeys(pairs):
        groups.setdefault(context, []).append(continuation)
    rows = []
    for context, continuations in groups.items():
        row = Row(context, ())
        for continuation in continuations:
            longer = Row(context, (*row.continuations, continuation))
            if row.continuations and longer.length > min(SHARED, max(limit, 2 * len(context))):
                rows.append(row)
                longer = Row(context, (continuation,))
            row = longer
        rows.append(row)
    return rows


def _batches(rows: list[Row], batch_tokens: int) -> Iterator[list[Row]]:
    """Longest first, rows of one continuation apart from the others: they need no mask."""
    alone = [row for row in rows if len(row.continuations) == 1]
    shared = [row for row in rows if len(row.continuations) > 1]
    for kind in (alone, shared):
        kind.sort(key=lambda row: -row.length)
        first = 0
        while first < len(kind):
            last = first + max(1, batch_tokens // kind[first].length)
            yield kind[first:last]
            first = last


def _measure(model: Transformer, rows: list[Row]) -> dict[Pair, tuple[npt.NDArray[np.float64], bool]]:
    device = model.output_weight.device
    T = rows[0].length
    tokens, positions, parts = (np.zeros((len(rows), T), np.int64) for _ in range(3))
    where: list[int] = []  # of each prediction: place in [B * T]
    targets: list[int] = []
    pairs: list[Pair] = []
    for index, row in enumerate(rows):
        size = len(row.context)
        tokens[index, :size] = row.context
        positions[index, :size] = np.arange(size)
        at = size
        for part, continuation in enumerate(row.continuations, 1):
            read = len(continuation) - 1
            tokens[index, at : at + read] = continuation[:read]
            positions[index, at : at + read] = np.arange(size, size + read)
            parts[index, at : at + read] = part
            where += [index * T + size - 1, *range(index * T + at, index * T + at + read)]
            targets += continuation
            pairs.append((row.context, continuation))
            at += read
    tokens_BT = torch.from_numpy(tokens).to(device)
    if len(rows[0].continuations) == 1:
        hidden = model.hidden(tokens_BT)
    else:
        mask = _mask(torch.from_numpy(parts).to(device))
        hidden = model.hidden(tokens_BT, torch.from_numpy(positions).to(device), mask)
    wanted = torch.tensor(where, device=device)
    logprobs, best = _logprobs(model, hidden.flatten(0, 1)[wanted], torch.tensor(targets, device=device))
    ends = itertools.accumulate(len(continuation) for _, continuation in pairs)
    return {
        pair: (logprobs[end - len(pair[1]) : end], bool(best[end - len(pair[1]) : end].all()))
        for pair, end in zip(pairs, ends, strict=True)
    }


def _mask(parts_BT: Tensor) -> Tensor:
    """True where a position may look: back, at the context (part 0) and at its own continuation. [B, 1, T, T]."""
    T = parts_BT.shape[1]
    causal = torch.ones(T, T, dtype=torch.bool, device=parts_BT.device).tril()
    seen, looking = parts_BT[:, None, :], parts_BT[:, :, None]
    return (causal & ((seen == 0) | (seen == looking)))[:, None]


def _logprobs(model: Transformer, hidden_ND: Tensor, targets_N: Tensor) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Of each target its log-probability, and whether it is the likeliest token."""
    logprobs, best = [], []
    size = max(1, LOGITS // model.shape.vocab)
    for hidden, targets in zip(hidden_ND.split(size), targets_N.split(size), strict=True):
        logits_NV = model.logits(hidden).float()
        chosen = logits_NV.gather(1, targets[:, None])[:, 0]
        logprobs.append((chosen - logits_NV.logsumexp(1)).double().cpu())
        best.append((logits_NV.argmax(1) == targets).cpu())
    return torch.cat(logprobs).numpy(), torch.cat(best).numpy()
