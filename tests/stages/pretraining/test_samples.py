import random
from pathlib import Path

import numpy as np
import torch

from models.tokenizer.load import load
from models.transformer.shape import Shape
from models.transformer.transformer import Transformer
from stages.pretraining.samples import write_samples
from tests.stages.pretraining.packed import tokenizer


def test_samples_are_the_same_each_time_and_leave_the_random_generators_alone(tmp_path: Path) -> None:
    pieces = load(tokenizer(tmp_path / "tokenizer").folder)
    torch.manual_seed(0)
    model = Transformer(Shape(vocab=pieces.size, width=16, layers=1, heads=2, kv_heads=1, head_width=8, hidden=24, context=32))
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    first, second = (write_samples(model, pieces, 7, ["Ada sees", "Ada sees", ""], 12, 1.0, 5) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before[1:]
    assert first == second
    assert [(one["step"], one["prompt"], one["seed"]) for one in first] == [(7, "Ada sees", 5), (7, "Ada sees", 6), (7, "", 7)]
    assert first[0]["completion"] != first[1]["completion"]
    assert write_samples(model, pieces, 7, ["Ada sees"], 12, 0.0, 5) != first[:1]
