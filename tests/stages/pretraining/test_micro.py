"""Micro-batches are cut by what a forward pass keeps in memory, measured here on models of each kind."""

from dataclasses import replace

import pytest
import torch

from models.transformer.loss import cross_entropy
from models.transformer.presets import preset
from models.transformer.transformer import Transformer
from stages.pretraining.micro import bytes_per_token, micro_rows


@pytest.mark.parametrize("name", ["demo", "small", "small-moe", "gpt2-124m"])
def test_a_token_keeps_as_many_bytes_as_is_reckoned(name: str) -> None:
    shape = replace(preset(name, vocab=512, context=128), layers=2)
    model = Transformer(shape, torch.bfloat16)
    weights = {one.untyped_storage().data_ptr() for one in (*model.parameters(), *model.buffers())}

    def kept(rows: int) -> int:
        found: dict[int, tuple[int, torch.Tensor]] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights:
                found[storage.data_ptr()] = (storage.nbytes(), tensor)  # held, so that no other tensor takes its place
            return tensor

        tokens = torch.zeros(rows, 129, dtype=torch.int64) + torch.arange(129) % 512
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            cross_entropy(model.hidden(tokens[:, :-1]), model.output_weight, tokens[:, 1:])
        return sum(size for size, _ in found.values())

    per_token = (kept(4) - kept(2)) / (2 * 128)  # weights cast to 16 bits are kept too, once
    assert 0.75 < per_token / bytes_per_token(shape) < 1.25


def test_on_a_cpu_few_tokens_go_through_at_once() -> None:
    cpu = torch.device("cpu")
    assert micro_rows(preset("small"), 512, cpu) == 8
    assert micro_rows(preset("1.5b"), 100_000, cpu) == 1
