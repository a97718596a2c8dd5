"""Matrices as int4 and int8: rounding, GPTQ, AWQ."""

from dataclasses import replace

import pytest
import torch

from models.quantization.gptq import gptq
from models.quantization.integers import Codes, Grid, round_to_nearest
from models.quantization.layer_by_layer import Method, to_integers
from models.transformer.shape import Experts, Shape
from models.transformer.transformer import Transformer
from models.unusable import Unusable

SHAPE = Shape(vocab=60, width=64, layers=2, heads=4, kv_heads=4, head_width=16, hidden=96, context=32)
GRID = Grid(4, 32)


def weight(outputs: int = 24, inputs: int = 96) -> torch.Tensor:
    return torch.randn(outputs, inputs, generator=torch.Generator().manual_seed(0))


def test_levels_and_scales_stand_for_the_weight() -> None:
    given = weight()
    for bits, room in ((4, 0.12), (8, 0.008)):
        codes = round_to_nearest(given, Grid(bits, 32))
        assert codes.levels.dtype == torch.int8
        assert (codes.levels.shape, codes.scales.shape) == ((24, 96), (24, 3))
        assert int(codes.levels.max()) <= 2 ** (bits - 1) - 1
        assert torch.equal(codes.scales.half().float(), codes.scales)
        error = (codes.weight() - given).norm() / given.norm()
        assert room / 3 < error < room
    assert round_to_nearest(given, Grid(4, 0)).scales.shape == (24, 1)


def test_rows_of_nothing_stay_nothing() -> None:
    assert (round_to_nearest(torch.zeros(3, 32), GRID).weight() == 0).all()


def test_gptq_makes_less_of_an_error_where_inputs_go_together() -> None:
    draw = torch.Generator().manual_seed(1)
    mixing = torch.randn(96, 96, generator=draw)
    x = torch.randn(500, 96, generator=draw) @ (torch.eye(96) + 0.2 * mixing)
    given = weight()
    plain, made = round_to_nearest(given, GRID).weight(), gptq(given, x.T @ x, GRID).weight()
    errors = [float((x @ (one - given).T).norm()) for one in (plain, made)]
    assert errors[1] < 0.75 * errors[0]
    assert (made - given).norm() > (plain - given).norm()  # not by being nearer to the weights


def test_without_products_between_inputs_gptq_is_rounding() -> None:
    given = weight()
    codes, plain = gptq(given, torch.eye(96), GRID), round_to_nearest(given, GRID)
    assert torch.equal(codes.levels, plain.levels)
    assert torch.equal(codes.scales, plain.scales)


def test_inputs_that_are_always_zero_have_no_weight() -> None:
    x = torch.randn(200, 96, generator=torch.Generator().manual_seed(2))
    x[:, 5] = 0
    assert (gptq(weight(), x.T @ x, GRID).weight()[:, 5] == 0).all()


def model() -> Transformer:
    torch.manual_seed(0)
    made = Transformer(SHAPE)
    for one in made.parameters():
        if one.ndim > 1:
            torch.nn.init.normal_(one, std=1.5 * one.shape[-1] ** -0.5)
    with torch.no_grad():
        made.blocks[0].attention_norm.weight[::7] = 12  # columns that meet large activations
        made.blocks[1].feed_forward_norm.weight[::9] = 12
    return made.eval()


def distance(method: Method) -> float:
    """Of the logits from those of the model before."""
    rows = torch.arange(60 * 32).view(60, 32) * 7 % 60
    before, after = model(), model()
    codes: dict[str, Codes] = {}
    for found in to_integers(after, [rows[:40]], method, GRID):
        codes |= found
    assert len(codes) == 14
    state = dict(after.named_parameters())
    assert all(torch.equal(state[name], one.weight()) for name, one in codes.items())
    with torch.inference_mode():
        return float((after(rows[40:]) - before(rows[40:])).norm())


def test_what_looks_at_the_text_is_nearer_than_what_does_not() -> None:
    plain, scaled, compensated = (distance(method) for method in ("rtn", "awq", "gptq"))  # type: ignore[arg-type]
    assert scaled < 0.95 * plain
    assert compensated < 0.9 * plain


def test_scaling_before_rounding_changes_nothing_by_itself() -> None:
    from models.quantization.awq import smooth

    before, after = model(), model()
    rows = torch.arange(64).view(2, 32) % 60
    draw = torch.Generator().manual_seed(3)
    inputs = {
        path: torch.randn(50, width, generator=draw) * torch.where(torch.arange(width) % 7 == 0, 20.0, 0.3)
        for path, width in (("attention.q", 64), ("attention.o", 64), ("feed_forward.gate", 64), ("feed_forward.down", 96))
    }
    smooth(after.blocks[0], inputs, GRID)
    with torch.inference_mode():
        torch.testing.assert_close(after(rows), before(rows), rtol=1e-3, atol=1e-3)
    assert not torch.equal(after.blocks[0].attention.q.weight, before.blocks[0].attention.q.weight)  # type: ignore[union-attr]
    assert not torch.equal(after.blocks[0].attention.o.weight, before.blocks[0].attention.o.weight)  # type: ignore[union-attr]


def test_what_cannot_be_rounded_so_is_refused() -> None:
    with pytest.raises(Unusable, match="3 bits; expected 4 or 8"):
        Grid(3)
    with pytest.raises(Unusable, match="a row of 96 numbers in groups of 64"):
        round_to_nearest(weight(), Grid(4, 64))
    with pytest.raises(Unusable, match="not finite"):
        round_to_nearest(torch.full((2, 32), torch.inf), GRID)
    for shape in (replace(SHAPE, experts=Experts(2, 1, 32)), replace(SHAPE, family="gpt2", qk_norm=False)):
        with pytest.raises(Unusable, match="dense Llama and Qwen3"):
            list(to_integers(Transformer(shape), [], "rtn", GRID))
