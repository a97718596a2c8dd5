"""Loss, perplexity and bits per byte, against sums by hand."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from models.tokenizer.load import load
from models.tokenizer.reserved import END, START
from models.transformer.shape import Shape
from models.transformer.transformer import Transformer
from models.transformer.world import alone
from stages.pretraining.batches import batches
from stages.pretraining.validation import bytes_of_tokens, validate
from tests.stages.pretraining.packed import tokenizer


def test_bits_are_of_text_and_the_loss_is_of_every_token(tmp_path: Path) -> None:
    pieces = load(tokenizer(tmp_path / "tokenizer").folder)
    text = "Ada sees a blue kité."
    ids = [pieces.special[START], *pieces.encode(text), pieces.special[END]]
    row = np.array([ids + [pieces.pad] * 5], np.int32)
    torch.manual_seed(0)
    model = Transformer(
        Shape(vocab=pieces.size + 3, width=16, layers=1, heads=2, kv_heads=1, head_width=8, hidden=24, context=len(row[0]))
    )
    torch.nn.init.normal_(model.embedding.weight)  # not uniform: each token has a loss of its own
    sizes = bytes_of_tokens(pieces, pieces.size + 3)
    assert sizes[ids].tolist()[0] == sizes[ids].tolist()[-1] == -1
    assert sizes[ids[1:-1]].sum() == len(text.encode())
    assert sizes[-3:].tolist() == [-1, -1, -1]
    found = validate(model, batches(row, np.array([len(ids)], np.int32), 1, None, torch.device("cpu")), sizes, alone("cpu"))
    nll = -model(torch.tensor([ids]))[0].double().log_softmax(-1)[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]
    assert found["validation_loss"] == pytest.approx(nll.mean().item(), rel=1e-5)
    assert found["perplexity"] == pytest.approx(math.exp(nll.mean().item()), rel=1e-4)
    assert found["bits_per_byte"] == pytest.approx(nll[:-1].sum().item() / math.log(2) / len(text.encode()), rel=1e-5)
    assert all(weight.grad is None for weight in model.parameters())


def test_without_rows_nothing_is_measured() -> None:
    model = Transformer(Shape(vocab=9, width=16, layers=1, heads=2, kv_heads=1, head_width=8, hidden=24, context=8))
    assert validate(model, [], torch.ones(9, dtype=torch.int64), alone("cpu")) == {}
