"""Documents as rows of tokens: what a model reads when it is measured for quantization, and when its variants are compared.

Each document begins with the token that begins one and is followed by the next; the last tokens, which fill no row, are left out.

N rows, T positions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.tokenizer.reserved import END
from models.tokenizer.tokenizer import Tokenizer
from stages.compute import Compute
from stages.evaluation.documents import Document
from stages.evaluation.likelihood import beginning
from storage.problem import Problem


def token_rows(documents: Sequence[Document], tokenizer: Tokenizer, length: int, tokens: int) -> Tensor:
    """int64 [N, T] of `length` tokens each: as many as `tokens` fill, or as there are. Raises Problem where the text fills no row."""
    wanted = max(1, tokens // length) * length
    ids: list[int] = []
    end = [tokenizer.special[END]] if END in tokenizer.special else []
    for document in documents:
        if len(ids) >= wanted:
            break
        ids += [beginning(tokenizer), *tokenizer.encode(document.text), *end]
    count = min(len(ids), wanted) // length
    if not count:
        raise Problem(
            f"the text is {len(ids):,} tokens long; expected a row of {length} at least: give more text or shorter rows"
        )
    return torch.tensor(ids[: count * length]).view(count, length)


def device_of(compute: Compute) -> str:
    """Where models are measured."""
    return ("cuda" if torch.cuda.is_available() else "cpu") if compute.device == "auto" else compute.device


def batches(rows_NT: Tensor, positions: int = 4096) -> list[Tensor]:
    """Rows that go through a model at once."""
    return list(rows_NT.split(max(1, positions // rows_NT.shape[1])))
