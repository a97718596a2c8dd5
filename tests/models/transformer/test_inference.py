import copy

import pytest
import torch
from torch import nn

from models.transformer.inference import inference
from models.transformer.product import Product
from tests.models.transformer.small_models import SHAPES, small_model

TOKENS = torch.randint(0, 97, (3, 20), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("kind", SHAPES)
def test_a_model_laid_out_for_generation_gives_the_same_logits(kind: str, rows: int) -> None:
    model = small_model(kind)
    with torch.inference_mode():
        made = inference(model, rows)
        assert made.logits(made.hidden(TOKENS)) == pytest.approx(model(TOKENS), abs=1e-4)


@pytest.mark.parametrize("kind", SHAPES)
def test_in_bf16_it_is_as_near_to_the_exact_logits_as_the_model_it_was_made_from(kind: str) -> None:
    model = small_model(kind)
    with torch.inference_mode():
        exact = model(TOKENS)
        model.compute = torch.bfloat16
        made = inference(model, 3)
        logits = made.logits(made.hidden(TOKENS))
        assert logits.dtype == torch.bfloat16
        assert (logits - exact).abs().mean() < 1.2 * (model(TOKENS) - exact).abs().mean() + 1e-3


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("compute", [torch.float32, torch.bfloat16])
def test_the_model_itself_stays_as_it_was(kind: str, compute: torch.dtype) -> None:
    model = small_model(kind, compute)
    state = torch.get_rng_state()
    before = copy.deepcopy(model.state_dict())
    inference(model, 2)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())
    loss = model(TOKENS).float().logsumexp(-1).sum()
    loss.backward()
    assert all(weight.grad is not None and weight.dtype == torch.float32 for weight in model.parameters() if weight.ndim > 1)


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("compute", [torch.float32, torch.bfloat16])
def test_it_can_be_made_in_the_midst_of_training(kind: str, compute: torch.dtype) -> None:
    model = small_model(kind, compute)
    logits = model(TOKENS)
    (logits.float().sum() + model.balance()).backward(retain_graph=True)
    made = inference(model, 2)
    with torch.inference_mode():
        away = (made.logits(made.hidden(TOKENS)) - logits).abs()
        assert away.median() < (1e-4 if compute == torch.float32 else 0.1)


@pytest.mark.parametrize("rows", [1, 8])
def test_a_product_of_joined_layers_is_that_of_each_one(rows: int) -> None:
    first, second = nn.Linear(64, 48), nn.Linear(64, 16)
    x = torch.randn(rows, 5, 64)
    with torch.inference_mode():
        joined = Product([first.weight, second.weight], [first.bias, second.bias], torch.float32, rows)(x)
        assert joined == pytest.approx(torch.cat((first(x), second(x)), -1), abs=1e-5)
