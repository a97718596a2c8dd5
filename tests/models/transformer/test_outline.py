"""A model without weights: the names and shapes of one with them, at no cost."""

from dataclasses import replace

import pytest
import torch

from models.transformer.outline import outline
from models.transformer.presets import preset
from models.transformer.transformer import Transformer


@pytest.mark.parametrize("name", ["demo", "small-moe", "gpt2-124m"])
def test_an_outline_has_the_names_and_shapes_of_a_model_and_no_weights(name: str) -> None:
    shape = replace(preset(name), vocab=300, layers=2, context=16)
    before = torch.get_rng_state()
    found = outline(shape)
    assert torch.equal(torch.get_rng_state(), before)
    made = Transformer(shape)
    assert {key: value.shape for key, value in found.state_dict().items()} == {
        key: value.shape for key, value in made.state_dict().items()
    }
    assert all(weight.is_meta for weight in found.parameters())
    found.load_state_dict(made.state_dict(), assign=True)
    tokens = torch.arange(10)[None]
    torch.testing.assert_close(found.hidden(tokens), made.hidden(tokens), rtol=0, atol=0)
