from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.transformer.norm import Norm
from models.transformer.shape import Shape

SHAPE = Shape(vocab=9, width=24, layers=1, heads=2, kv_heads=2, head_width=12, hidden=8, context=8, eps=1e-3)


def norm(gpt2: bool = False) -> Norm:
    torch.manual_seed(0)
    made = Norm(24, replace(SHAPE, family="gpt2", qk_norm=False) if gpt2 else SHAPE)
    for weight in made.parameters():
        torch.nn.init.normal_(weight)
    return made


def gradients(out: Tensor, x: Tensor, made: Norm) -> tuple[Tensor, ...]:
    up = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out.dtype)
    return (out.detach(), *torch.autograd.grad(out, (x, *made.parameters()), up))


@pytest.mark.parametrize("size", [(3, 24), (2, 5, 24), (2, 3, 5, 24)])
def test_rms_norm_and_its_gradients_are_pytorchs(size: tuple[int, ...]) -> None:
    made = norm()
    x = torch.randn(size, requires_grad=True)
    expected = gradients(F.rms_norm(x, (24,), made.weight, 1e-3), x, made)
    torch.testing.assert_close(gradients(made(x), x, made), expected, rtol=1e-5, atol=1e-5)


def test_gradients_are_those_of_finite_differences() -> None:
    made = norm().double()
    x = torch.randn(4, 24, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, weight: made(x), (x, made.weight))


def test_heads_that_do_not_lie_side_by_side_are_normed_alike() -> None:
    made = norm()
    x = torch.randn(2, 5, 3, 24)
    torch.testing.assert_close(made(x.transpose(1, 2)), made(x).transpose(1, 2))


def test_in_bf16_it_is_as_near_to_the_truth_as_pytorch_is() -> None:
    made = norm()
    x = torch.randn(64, 24).bfloat16().requires_grad_()
    wide = x.detach().float().requires_grad_()
    exact = gradients(F.rms_norm(wide, (24,), made.weight, 1e-3), wide, made)
    theirs = gradients(F.rms_norm(x, (24,), made.weight.bfloat16(), 1e-3), x, made)
    for found, peer, expected in zip(gradients(made(x), x, made), theirs, exact, strict=True):
        assert (found.float() - expected).norm() <= 1.5 * (peer.float() - expected).norm()


def test_gpt2_has_layer_norm() -> None:
    made = norm(gpt2=True)
    x = torch.randn(3, 24)
    torch.testing.assert_close(made(x), F.layer_norm(x, (24,), made.weight, made.bias, 1e-3))
