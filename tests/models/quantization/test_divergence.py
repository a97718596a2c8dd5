"""How far one model is from another."""

import copy

import pytest
import torch

from models.quantization.divergence import divergence, hidden_states
from models.transformer.shape import Shape
from models.transformer.transformer import Transformer

SHAPE = Shape(vocab=97, width=32, layers=2, heads=2, kv_heads=1, head_width=16, hidden=48, context=32)
ROWS = [torch.arange(2 * 32).view(2, 32) * 7 % 97, torch.arange(32)[None] * 11 % 97]


def model() -> Transformer:
    torch.manual_seed(0)
    made = Transformer(SHAPE)
    for weight in made.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=1.5 * weight.shape[-1] ** -0.5)
    return made.eval()


@pytest.mark.parametrize("noise", [0.3, 1e-2, 1e-4])
def test_divergence_is_what_its_definition_says_also_where_it_is_tiny(noise: float) -> None:
    before = model()
    after = copy.deepcopy(before)
    with torch.no_grad():
        for weight in after.parameters():
            weight += noise * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    found = divergence(before, hidden_states(before, ROWS), after, ROWS)
    assert len(found.kl) == 3 * 31
    exact, losses = [], []
    fine = [copy.deepcopy(one).double() for one in (before, after)]
    for one in fine:
        one.compute = torch.float64
    with torch.inference_mode():
        for rows in ROWS:
            wanted, got = (one(rows).log_softmax(-1)[:, :-1] for one in fine)
            exact.append((wanted.exp() * (wanted - got)).sum(-1).flatten())
            losses.append(-got.gather(2, rows[:, 1:, None]).flatten())
    torch.testing.assert_close(found.kl, torch.cat(exact), rtol=5e-3, atol=1e-13)
    torch.testing.assert_close(found.loss, torch.cat(losses), rtol=1e-5, atol=1e-5)
    assert float(found.same_top.double().mean()) > (0.99 if noise < 1e-3 else 0)


def test_a_model_is_no_distance_from_itself() -> None:
    before = model()
    found = divergence(before, hidden_states(before, ROWS), before, ROWS)
    assert (found.kl == 0).all()
    assert found.same_top.all()
