from dataclasses import replace

import pytest
import torch

from models.transformer.rotary import frequencies, rotate, table
from models.transformer.shape import Llama3Scaling, Shape

SHAPE = Shape(vocab=9, width=16, layers=1, heads=2, kv_heads=2, head_width=8, hidden=8, context=32, theta=100.0)


def test_a_rotation_is_a_product_of_complex_numbers() -> None:
    cos, sin = table(SHAPE)
    x = torch.randn(3, 32, 8)
    pairs = torch.complex(x[..., :4], x[..., 4:])
    angles = torch.arange(32)[:, None] * 100.0 ** (-torch.arange(4) / 4)
    turned = pairs * torch.polar(torch.ones_like(angles), angles)
    torch.testing.assert_close(rotate(x, cos, sin), torch.cat((turned.real, turned.imag), -1), rtol=0, atol=1e-5)


def test_products_of_queries_and_keys_depend_on_their_distance_alone() -> None:
    cos, sin = table(SHAPE)
    q, k = torch.randn(8), torch.randn(8)
    products = rotate(q.expand(32, 8), cos, sin) @ rotate(k.expand(32, 8), cos, sin).T
    for distance in range(-5, 6):
        along = products.diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), rtol=0, atol=1e-4)


def test_gradients_are_those_of_finite_differences() -> None:
    cos, sin = (one.double() for one in table(SHAPE))
    x = torch.randn(2, 32, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: rotate(x, cos, sin), (x,))


def test_without_gradients_the_numbers_are_the_same() -> None:
    cos, sin = table(SHAPE)
    x = torch.randn(2, 3, 32, 8)
    with torch.no_grad():
        expected = rotate(x, cos, sin)
    assert torch.equal(rotate(x.requires_grad_(), cos, sin), expected)


def test_llama3_scaling_slows_long_waves_and_leaves_short_ones() -> None:
    """Of Llama 3.1: waves shorter than original_context / high_freq_factor stay, those longer than / low_freq_factor are `factor` slower."""
    plain = frequencies(replace(SHAPE, head_width=64, theta=500_000.0))
    scaled = frequencies(replace(SHAPE, head_width=64, theta=500_000.0, scaling=Llama3Scaling(8.0, 1.0, 4.0, 8192)))
    waves = 2 * torch.pi / plain
    short, long = waves < 8192 / 4, waves > 8192
    torch.testing.assert_close(scaled[short], plain[short])
    torch.testing.assert_close(scaled[long], plain[long] / 8)
    between = ~short & ~long
    assert between.any()
    assert ((scaled < plain) & (scaled > plain / 8))[between].all()


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_tables_are_real_whatever_the_default_device(device: str) -> None:
    with torch.device(device):
        cos, _ = table(SHAPE)
    assert cos.device.type == "cpu"
