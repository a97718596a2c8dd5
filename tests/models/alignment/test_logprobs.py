"""Log-probabilities and entropies: against whole logits, in chunks, and as generation reports them."""

import pytest
import torch

from models.alignment import logprobs
from models.alignment.logprobs import logprobs_and_entropies, token_logprobs
from models.alignment.preference import Answer, answers
from models.transformer.generate import Request, generate
from models.transformer.loss import IGNORED
from models.transformer.sampling import Sampling
from models.transformer.shape import Shape
from models.transformer.transformer import Transformer


def drawn() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    hidden = torch.randn(3, 7, 8, requires_grad=True)
    weight = torch.randn(11, 8, requires_grad=True)
    targets = torch.randint(0, 11, (3, 7))
    targets[0, :4] = targets[2, 3:] = IGNORED
    return hidden, weight, targets


@pytest.mark.parametrize("chunk", [1 << 20, 22])
def test_they_are_those_of_whole_logits_with_their_gradients(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logprobs, "CHUNK", chunk)
    hidden, weight, targets = drawn()
    asked = targets != IGNORED
    every = torch.log_softmax(hidden @ weight.T / 0.7, -1)
    expected = every.gather(-1, targets.clamp_min(0)[..., None])[..., 0] * asked
    up = torch.randn_like(expected)
    wanted = torch.autograd.grad((expected * up).sum(), (hidden, weight))
    found, entropies = logprobs_and_entropies(hidden, weight, targets, 0.7)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(entropies, -(every.exp() * every).sum(-1).detach() * asked)
    for one, other in zip(torch.autograd.grad((found * up).sum(), (hidden, weight)), wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_where_nothing_is_asked_all_is_zero() -> None:
    hidden, weight, targets = drawn()
    assert not token_logprobs(hidden, weight, torch.full_like(targets, IGNORED)).any()


def test_they_are_those_that_generation_reports_at_its_temperature() -> None:
    torch.manual_seed(0)
    model = Transformer(Shape(vocab=50, width=32, layers=2, heads=2, kv_heads=1, head_width=16, hidden=64, context=32))
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    prompts = [[1, 2, 3], [4], [5, 6, 7, 8, 9]]
    done = generate(model, [Request(one, 9, Sampling(0.7), seed=seed) for seed, one in enumerate(prompts)])
    batch = answers([Answer(prompt, one.tokens) for prompt, one in zip(prompts, done, strict=True)])
    with torch.no_grad():
        found = token_logprobs(model.hidden(batch.tokens), model.output_weight, batch.targets, 0.7)
    for prompt, row, one in zip(prompts, found, done, strict=True):
        begin = len(prompt) - 1
        torch.testing.assert_close(row[begin : begin + len(one.tokens)], torch.tensor(one.logprobs), atol=1e-5, rtol=0)
