"""Mixtures; that they are Qwen3-MoE's and Mixtral's stands in tests/peers/test_transformers.py."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.transformer.experts import MixtureOfExperts, load_figures
from models.transformer.shape import Experts, Shape
from models.transformer.transformer import Transformer

SHAPE = Shape(
    vocab=61, width=32, layers=3, heads=4, kv_heads=2, head_width=8, hidden=48, context=64,
    experts=Experts(count=5, active=2, hidden=24, balance=0.5),
)  # fmt: skip
TOKENS = torch.randint(0, 61, (4, 20), generator=torch.Generator().manual_seed(1))


def layer(experts: Experts, width: int = 16) -> MixtureOfExperts:
    torch.manual_seed(0)
    made = MixtureOfExperts(width, experts)
    for weight in made.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return made


def one_by_one(made: MixtureOfExperts, x_BTD: Tensor) -> Tensor:
    """The definition: each token asks its experts, best first."""
    out = []
    for x in x_BTD.flatten(0, 1):
        probabilities = made.router(x).float().softmax(-1)
        weights, chosen = probabilities.topk(made.experts.active)
        if made.experts.normalised:
            weights = weights / weights.sum()
        kind = x.dtype
        answers = [
            made.down[e].to(kind) @ (F.silu(made.gate[e].to(kind) @ x) * (made.up[e].to(kind) @ x)) for e in chosen.tolist()
        ]
        out.append(sum(weight.to(kind) * answer for weight, answer in zip(weights, answers, strict=True)))
    return torch.stack(out).view_as(x_BTD)  # type: ignore[arg-type]


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize(("count", "active", "hidden", "width"), [(4, 2, 8, 16), (6, 3, 12, 16), (3, 3, 8, 8), (7, 1, 5, 9)])
def test_every_token_gets_the_answers_of_its_best_experts(
    count: int, active: int, hidden: int, width: int, normalised: bool
) -> None:
    made = layer(Experts(count, active, hidden, normalised), width)
    x = torch.randn(2, 7, width, requires_grad=True)
    found, expected = made(x), one_by_one(made, x)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    given = (x, *made.parameters())
    up = torch.randn_like(found)
    for one, two in zip(torch.autograd.grad(found, given, up), torch.autograd.grad(expected, given, up), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


def test_in_bf16_the_grouped_kernel_and_widths_that_it_does_not_take_give_the_same() -> None:
    made = layer(Experts(4, 2, 8))
    wider = layer(Experts(4, 2, 9))
    with torch.no_grad():  # one more hidden number, which says nothing
        wider.router.weight.copy_(made.router.weight)
        for one, two in ((wider.gate, made.gate), (wider.up, made.up)):
            one[:, :8], one[:, 8] = two, 0
        wider.down[..., :8], wider.down[..., 8] = made.down, 0
    x = torch.randn(2, 7, 16).bfloat16()
    assert made(x).dtype == torch.bfloat16
    torch.testing.assert_close(made(x), wider(x))
    torch.testing.assert_close(made(x), one_by_one(made, x), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("hidden", [8, 5])
def test_an_expert_that_nobody_asks_answers_nobody(hidden: int) -> None:
    made = layer(Experts(4, 1, hidden))
    with torch.no_grad():
        made.router.weight.zero_()
        made.router.weight[2] = 1
    x = torch.rand(1, 6, 16) + 0.1
    made(x).sum().backward()
    assert made.gate.grad is not None
    assert [expert for expert in range(4) if made.gate.grad[expert].any()] == [2]
    assert made.load is not None
    assert made.load.tolist() == [0, 0, 6, 0]


def test_no_token_is_dropped() -> None:
    model = Transformer(SHAPE)
    for _ in range(3):
        model.hidden(TOKENS)
    load = model.take_load()
    assert load is not None
    assert load.shape == (3, 5)
    assert load.sum(-1).tolist() == [3 * TOKENS.numel() * 2] * 3
    assert model.take_load() is None  # it begins anew


def test_nothing_is_counted_where_nothing_is_learnt() -> None:
    model = Transformer(SHAPE)
    with torch.no_grad():
        model.hidden(TOKENS)
    assert model.take_load() is None


def test_a_dense_model_has_no_balance_loss_and_no_load() -> None:
    model = Transformer(replace(SHAPE, experts=None))
    model.hidden(TOKENS)
    assert model.balance().item() == 0
    assert model.take_load() is None


def test_the_balance_loss_is_that_of_the_paper() -> None:
    """Fedus et al. 2021, equations 4 to 6, of a single row and a single layer."""
    model = Transformer(replace(SHAPE, layers=1))
    routed: list[Tensor] = []
    model.experts()[0].router.register_forward_hook(lambda module, given, logits: routed.append(logits))
    model.hidden(TOKENS[:1])
    probabilities = routed[0].softmax(-1)
    chosen = probabilities.topk(2).indices
    share = torch.stack([(chosen == expert).sum() / 20 for expert in range(5)])
    expected = 0.5 * 5 * (share * probabilities.mean(0)).sum() * 20  # alpha * E * sum f P, for each of 20 positions
    torch.testing.assert_close(model.balance(), expected)


def test_an_even_load_costs_the_least() -> None:
    """Then f = A / E and P = 1 / E: the loss of a position is A."""
    made = layer(Experts(4, 1, 8))
    with torch.no_grad():
        made.router.weight.copy_(torch.eye(4, 16))
    even = torch.eye(4, 16).repeat(3, 1)[None] * 20
    made(even)
    assert made.balance is not None
    assert made.balance.item() == pytest.approx(12.0, rel=1e-4)
    made(even[:, :1].expand(1, 12, 16))
    assert made.balance.item() == pytest.approx(4 * 12.0, rel=1e-4)  # all to one of four


def test_the_balance_loss_adds_up_over_micro_batches() -> None:
    model = Transformer(SHAPE)
    torch.nn.init.normal_(model.experts()[0].router.weight)

    def learnt(rows: int) -> tuple[Tensor, Tensor]:
        model.zero_grad()
        total = torch.zeros(())
        for part in TOKENS.split(rows):
            model.hidden(part)
            model.balance().backward()
            total += model.balance().detach()
        grad = model.experts()[0].router.weight.grad
        assert grad is not None
        return total, grad.clone()

    for found, expected in zip(learnt(1), learnt(4), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_training_with_the_balance_loss_evens_the_load() -> None:
    torch.manual_seed(0)
    made = layer(Experts(4, 1, 8))
    with torch.no_grad():
        made.router.weight[0] += 0.3
    x = torch.rand(8, 32, 16)
    moved = torch.optim.SGD([made.router.weight], lr=0.05)
    figures = []
    for _ in range(40):
        made.load = None
        made(x)
        assert made.balance is not None
        assert made.load is not None
        figures.append(load_figures(made.load[None]))
        moved.zero_grad()
        (made.balance / 256).backward()
        moved.step()
    assert figures[0].highest > 0.9
    assert figures[-1].highest < 0.6
    assert figures[-1].entropy > figures[0].entropy + 0.3


def test_figures_of_a_load() -> None:
    even = load_figures(torch.full((2, 4), 10))
    assert (even.highest, even.lowest, even.entropy) == (0.25, 0.25, pytest.approx(1.0))
    one = load_figures(torch.tensor([[10, 0, 0, 0]]))
    assert (one.highest, one.lowest, one.entropy) == (1.0, 0.0, 0.0)
    mixed = load_figures(torch.tensor([[5, 5, 0, 0], [10, 10, 10, 10]]))
    assert mixed.entropy == pytest.approx((math.log(2) / math.log(4) + 1) / 2)
