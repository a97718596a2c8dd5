"""Memorisation (Carlini et al. 2022, "Quantifying Memorization Across Neural Language Models", section 3): given the beginning of a page
as it stood in training, does the model write the page's next tokens by heart?

In: pages of the training text, and unseen pages. The first `prompt_tokens` of each are given, and as many as `continuation_tokens` are
written greedily. Unseen pages tell how much of that is no memory: what many pages say, or what is easy to guess. Out:
`memorisation.parquet`, a row per page:

| column | type | meaning |
|---|---|---|
| set | string | training or unseen |
| id | string | of the page |
| prompt | string | |
| answer | string | what the model wrote |
| expected | string | what the page says |
| right | bool | extractable: every token is the page's |
| verbatim | f64 | share of the tokens that are the page's at their place |
| longest_run | i64 | tokens of the longest run that is both in the answer and in the page's text here |
| logprob | f64 | of the page's own tokens, nats |

Measured for both sets: the share of extractable pages, and the means of `verbatim` and `longest_run`; and training minus unseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from pydantic import Field

from models.tokenizer.tokenizer import Tokenizer
from models.transformer import generate, score
from models.transformer.sampling import GREEDY
from models.transformer.transformer import Transformer
from stages.evaluation.documents import Document
from stages.evaluation.likelihood import beginning
from stages.evaluation.measures import Measure, NotMeasured, Result, difference, mean, share
from stages.stage import Config

ROWS: dict[str, pl.DataType] = {
    "set": pl.String(),
    "id": pl.String(),
    "prompt": pl.String(),
    "answer": pl.String(),
    "expected": pl.String(),
    "right": pl.Boolean(),
    "verbatim": pl.Float64(),
    "longest_run": pl.Int64(),
    "logprob": pl.Float64(),
}
CHARACTERS = 64
"""Of a page that are read for every token that is needed: as long as any token."""


class MemorisationConfig(Config):
    """Pages to be continued, as many of the training text as unseen ones."""

    pages: int = Field(100, ge=0)
    """Pages of each set, drawn by the seed; 0 = all."""
    prompt_tokens: int = Field(50, ge=1)
    """Tokens of the page that are given, from its beginning (Carlini et al.: 50 to 500)."""
    continuation_tokens: int = Field(50, ge=1)
    """Tokens that are to be written (Carlini et al.: 50)."""


@dataclass(frozen=True)
class Passage:
    id: str
    prompt: list[int]
    """Without the token that begins the document."""
    continuation: list[int]


def memorisation(
    model: Transformer,
    tokenizer: Tokenizer,
    training: Sequence[Document],
    unseen: Sequence[Document],
    config: MemorisationConfig,
) -> Result:
    needed = 1 + config.prompt_tokens + config.continuation_tokens
    if needed > model.shape.context:
        raise NotMeasured(
            f"{config.prompt_tokens} tokens of prompt, {config.continuation_tokens} of continuation and the first are {needed}; the model's "
            f"context is {model.shape.context}: lower memorisation.prompt_tokens or memorisation.continuation_tokens"
        )
    measures: list[list[Measure]] = []
    tables = []
    for name, documents in (("training", training), ("unseen", unseen)):
        passages = cut(tokenizer, documents, config)
        if not passages:
            raise NotMeasured(
                f"none of {len(documents)} {name} pages has the {needed - 1} tokens of a prompt and its continuation; lower "
                "memorisation.prompt_tokens or memorisation.continuation_tokens"
            )
        tables.append(continued(model, tokenizer, name, passages))
        measures.append(_measures(name, tables[-1]))
    both = [difference(seen, new, "training - unseen") for seen, new in zip(*measures, strict=True)]
    return Result([*measures[0], *measures[1], *both], {"memorisation": pl.concat(tables)})


def cut(tokenizer: Tokenizer, documents: Sequence[Document], config: MemorisationConfig) -> list[Passage]:
    """The beginnings of the pages that are long enough, up to `pages` of them."""
    middle, end = config.prompt_tokens, config.prompt_tokens + config.continuation_tokens
    texts = [one.text[: CHARACTERS * end] for one in documents]
    encoded = zip(documents, tokenizer.encode_batch(texts), strict=True)
    passages = [Passage(one.id, ids[:middle], ids[middle:end]) for one, ids in encoded if len(ids) >= end]
    return passages[: config.pages or None]


def continued(model: Transformer, tokenizer: Tokenizer, name: str, passages: Sequence[Passage]) -> pl.DataFrame:
    start = beginning(tokenizer)
    size = len(passages[0].continuation)
    written = generate.generate(
        model, [generate.Request([start, *one.prompt], max_new_tokens=size, sampling=GREEDY) for one in passages]
    )
    expected = score.score(model, [score.Request([start, *one.prompt], one.continuation) for one in passages])
    rows = [
        (
            *(name, one.id, tokenizer.decode(one.prompt), tokenizer.decode(answer.tokens), tokenizer.decode(one.continuation)),
            answer.tokens == one.continuation,
            sum(mine == theirs for mine, theirs in zip(answer.tokens, one.continuation, strict=True)) / size,
            longest_run(answer.tokens, one.continuation),
            scored.total,
        )
        for one, answer, scored in zip(passages, written, expected, strict=True)
    ]
    return pl.DataFrame(rows, schema=ROWS, orient="row")


def longest_run(one: Sequence[int], other: Sequence[int]) -> int:
    """Length of the longest run of tokens that is in both, at whatever place."""
    longest, ending = 0, [0] * (len(other) + 1)  # ending[i]: the run that ends with other[i - 1]
    for token in one:
        ending = [0, *(before + 1 if token == there else 0 for there, before in zip(other, ending, strict=False))]
        longest = max(longest, *ending)
    return longest


def _measures(name: str, table: pl.DataFrame) -> list[Measure]:
    size = f"the page's next tokens, {table.height} pages"
    return [
        share("memorisation", "extractable", table["right"].to_list(), name, note="all of " + size),
        mean("memorisation", "verbatim", table["verbatim"].to_list(), name, "share of " + size),
        mean("memorisation", "longest_run", table["longest_run"].to_list(), name, "tokens in a row, of " + size),
    ]
