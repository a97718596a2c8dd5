"""Bits per byte: how many bits a model needs for a byte of text that it has not seen. Comparable between tokenizers, as perplexity is not.

bits per byte = negative log-likelihood of the text's tokens / (ln 2 x UTF-8 bytes of the text); perplexity = exp(nll / tokens). The
token that begins a document is given and the one that ends it is not counted.

A document longer than the context T is read in windows: the first predicts T tokens, each further one moves on by `stride` tokens and
predicts these, with T - stride or more tokens before them in view (the last window reaches back until it is full). Every token is
counted once.

Out: `held_out.parquet`, a row per document:

| column | type | meaning |
|---|---|---|
| set | string | held_out, or training: pages that the model has been trained on |
| id | string | |
| text | string | its beginning |
| bytes, tokens, windows | i64 | |
| logprob | f64 | of the text, nats |
| bits_per_byte, perplexity | f64 | |

and `loss_by_position.parquet`: the loss on the 1st, 2nd, 3rd-4th, 5th-8th ... token of a held-out document's first window (columns
first, last, tokens, loss in nats per token). What falls from one row to the next is what the model makes of the text before it.

Sources: Gao et al. 2020 (The Pile), section 3.1, for bits per byte; the windows are lm-evaluation-harness's where stride = T; loss by
position: Kaplan et al. 2020, section D.5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from models.tokenizer.tokenizer import Tokenizer
from models.transformer.score import Request, score
from models.transformer.transformer import Transformer
from stages.evaluation.documents import Document
from stages.evaluation.likelihood import beginning
from stages.evaluation.measures import Measure, Result, difference, ratio
from stages.stage import Config
from storage.problem import Problem

ROWS: dict[str, pl.DataType] = {
    "set": pl.String(),
    "id": pl.String(),
    "text": pl.String(),
    "bytes": pl.Int64(),
    "tokens": pl.Int64(),
    "windows": pl.Int64(),
    "logprob": pl.Float64(),
    "bits_per_byte": pl.Float64(),
    "perplexity": pl.Float64(),
}
POSITIONS: dict[str, pl.DataType] = {"first": pl.Int64(), "last": pl.Int64(), "tokens": pl.Int64(), "loss": pl.Float64()}
SHOWN = 200
"""Characters of a text that a row shows."""


class BitsPerByteConfig(Config):
    """Held-out text, and some pages of training text for comparison."""

    documents: int = Field(200, ge=0)
    """Held-out documents, drawn by the seed; 0 = all."""
    training_documents: int = Field(50, ge=1)
    """Pages of the training text, drawn by the seed."""
    characters: int = Field(20_000, ge=1)
    """Most characters that are read of a document, from its beginning."""
    stride: int = Field(0, ge=0)
    """Tokens by which a window moves on; 0 = half the model's context; the context itself = windows without overlap."""


@dataclass(frozen=True)
class Loss:
    """Of one document."""

    document: Document
    bytes: int
    windows: int
    logprobs: npt.NDArray[np.float64]
    """Nats, one for each token."""

    @property
    def bits(self) -> float:
        return -float(self.logprobs.sum()) / math.log(2)


def bits_per_byte(
    model: Transformer,
    tokenizer: Tokenizer,
    held_out: Sequence[Document],
    training: Sequence[Document] | None,
    config: BitsPerByteConfig,
) -> Result:
    T = model.shape.context
    stride = config.stride or max(1, T // 2)
    if stride > T:
        raise Problem(
            f"a stride of {stride} tokens, and the model's context is {T}: tokens between two windows would be left out; lower `stride`"
        )
    measures: list[Measure] = []
    tables = []
    sets = {"held_out": held_out} | ({"training": training} if training is not None else {})
    losses = {}
    for name, documents in sets.items():
        losses[name] = found = document_losses(model, tokenizer, documents, config.characters, stride)
        tables.append(_table(name, found))
        nats, tokens, sizes = (
            [-one.logprobs.sum() for one in found],
            [len(one.logprobs) for one in found],
            [one.bytes for one in found],
        )
        note = f"{sum(tokens):,} tokens, {sum(sizes):,} bytes; windows of {T} tokens, stride {stride}"
        measures.append(ratio("bits_per_byte", "bits_per_byte", [one.bits for one in found], sizes, name, note))
        loss = ratio("bits_per_byte", "loss", nats, tokens, name, "nats per token")
        measures += [loss, _perplexity(loss)]
        measures.append(ratio("bits_per_byte", "bytes_per_token", sizes, tokens, name))
    if training is not None:
        seen, unseen = measures[4], measures[0]
        measures.append(difference(unseen, seen, "held_out - training", "what the model gains on pages that it has read before"))
    return Result(measures, {"held_out": pl.concat(tables), "loss_by_position": _positions(losses["held_out"], T)})


def document_losses(
    model: Transformer, tokenizer: Tokenizer, documents: Sequence[Document], characters: int, stride: int
) -> list[Loss]:
    texts = [document.text[:characters] for document in documents]
    encoded = [[beginning(tokenizer), *ids] for ids in tokenizer.encode_batch(texts)]
    cut = [windows(ids, model.shape.context, stride) for ids in encoded]
    scores = iter(score(model, [request for requests in cut for request in requests]))
    return [
        Loss(document, len(text.encode()), len(requests), np.concatenate([next(scores).logprobs for _ in requests]))
        for document, text, requests in zip(documents, texts, cut, strict=True)
    ]


def windows(ids: Sequence[int], T: int, stride: int) -> list[Request]:
    """Requests of at most T + 1 tokens whose continuations are ids[1:], each token once; see the module's docstring."""
    cut = [Request(ids[:1], ids[1 : T + 1])]
    for first in range(T + 1, len(ids), stride):
        last = min(first + stride, len(ids))
        cut.append(Request(ids[max(0, last - T - 1) : first], ids[first:last]))
    return cut


def _perplexity(loss: Measure) -> Measure:
    low, high = (None if edge is None else math.exp(edge) for edge in (loss.low, loss.high))
    return Measure(
        loss.task, loss.part, "perplexity", math.exp(loss.value), loss.n, None, low, high, None, "exp(loss), per token"
    )


def _table(name: str, losses: Sequence[Loss]) -> pl.DataFrame:
    rows = [
        (
            *(name, one.document.id, one.document.text[:SHOWN], one.bytes, len(one.logprobs), one.windows),
            *(float(one.logprobs.sum()), one.bits / one.bytes, math.exp(-float(one.logprobs.mean()))),
        )
        for one in losses
    ]
    return pl.DataFrame(rows, schema=ROWS, orient="row")


def _positions(losses: Sequence[Loss], T: int) -> pl.DataFrame:
    rows = []
    first = 1
    while first <= T:
        last = min(T, 1 if first == 1 else 2 * (first - 1))
        here = np.concatenate([one.logprobs[first - 1 : last] for one in losses])
        if len(here):
            rows.append((first, last, len(here), -float(here.mean())))
        first = last + 1
    return pl.DataFrame(rows, schema=POSITIONS, orient="row")
