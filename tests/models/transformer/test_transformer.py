"""The model itself; that it computes what transformers computes stands in tests/peers/test_transformers.py."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.transformer.loss import cross_entropy
from models.transformer.shape import Experts, Llama3Scaling, Shape
from models.transformer.transformer import Transformer
from models.unusable import Unusable

BASE = Shape(vocab=61, width=32, layers=2, heads=4, kv_heads=2, head_width=8, hidden=48, context=300)
SHAPES = {
    "qwen3": BASE,
    "llama": replace(BASE, qk_norm=False, tied=False, scaling=Llama3Scaling(8.0, 1.0, 4.0, 30)),
    "experts": replace(BASE, experts=Experts(count=4, active=2, hidden=24)),
    "gpt2": replace(BASE, family="gpt2", qk_norm=False, kv_heads=4),
}
EACH = pytest.mark.parametrize("name", SHAPES)


def model(name: str = "qwen3", compute: torch.dtype = torch.float32) -> Transformer:
    torch.manual_seed(0)
    made = Transformer(SHAPES[name], compute)
    for weight in made.parameters():
        torch.nn.init.normal_(weight, 1.0 if weight.ndim == 1 else 0.0, 0.2)
    return made


def tokens(rows: int = 2, length: int = 200) -> Tensor:
    return torch.randint(0, 61, (rows, length), generator=torch.Generator().manual_seed(1))


@EACH
def test_with_and_without_gradients_the_numbers_are_the_same(name: str) -> None:
    made = model(name)
    with torch.no_grad():
        expected = made(tokens())
    torch.testing.assert_close(made(tokens()).detach(), expected, rtol=0, atol=2e-5)


@EACH
def test_no_position_sees_a_later_one(name: str) -> None:
    made, given = model(name), tokens()
    altered = given.clone()
    altered[:, 120:] = 0
    torch.testing.assert_close(made(altered)[:, :120], made(given)[:, :120], rtol=0, atol=2e-5)
    assert (made(altered)[:, 120:] - made(given)[:, 120:]).abs().max() > 0.1


@EACH
def test_rows_do_not_meet(name: str) -> None:
    made, given = model(name), tokens(3)
    torch.testing.assert_close(made(given)[1:2], made(given[1:2]), rtol=0, atol=2e-5)


@EACH
def test_gradients_are_those_of_plain_pytorch(name: str) -> None:
    """The paths for training on CPUs against the ones for inference, which autograd differentiates by itself."""
    made, given = model(name), tokens()
    causal = torch.ones(200, 200, dtype=torch.bool).tril()  # a mask leaves attention to PyTorch

    def gradients(mask: Tensor | None) -> dict[str, Tensor]:
        made.zero_grad()
        cross_entropy(made.hidden(given[:, :-1], mask=mask), made.output_weight, given[:, 1:])[0].backward()
        return {key: weight.grad for key, weight in made.named_parameters() if weight.grad is not None}

    found, expected = gradients(None), gradients(causal[:-1, :-1])
    assert found.keys() == {key for key, _ in made.named_parameters()}
    for key in found:
        torch.testing.assert_close(found[key], expected[key], rtol=1e-4, atol=1e-3, msg=key)


@EACH
def test_a_mask_keeps_documents_apart(name: str) -> None:
    made = model(name)
    first, second = tokens(1, 30), tokens(2, 30)[1:]
    document = torch.tensor([0] * 30 + [1] * 30)
    mask = (document[:, None] == document) & torch.ones(60, 60, dtype=torch.bool).tril()
    positions = torch.arange(30).repeat(2)
    packed = made(torch.cat((first, second), 1), positions=positions, mask=mask)
    torch.testing.assert_close(packed[:, :30], made(first), rtol=0, atol=2e-5)
    torch.testing.assert_close(packed[:, 30:], made(second), rtol=0, atol=2e-5)


@EACH
def test_positions_may_differ_from_row_to_row(name: str) -> None:
    made, given = model(name), tokens(2, 10)
    positions = torch.stack((torch.arange(10), torch.arange(50, 60)))
    both = made(given, positions=positions)
    for row in range(2):
        torch.testing.assert_close(both[row : row + 1], made(given[row : row + 1], positions=positions[row]), rtol=0, atol=2e-5)


class Growing:
    def __init__(self) -> None:
        self.k: Tensor | None = None
        self.v: Tensor | None = None

    def extend(self, k_BKTC: Tensor, v_BKTC: Tensor) -> tuple[Tensor, Tensor]:
        self.k = k_BKTC if self.k is None else torch.cat((self.k, k_BKTC), 2)
        self.v = v_BKTC if self.v is None else torch.cat((self.v, v_BKTC), 2)
        return self.k, self.v


@EACH
def test_one_position_at_a_time_with_a_cache_gives_the_same(name: str) -> None:
    made, given = model(name), tokens(2, 12)
    cache = [Growing() for _ in range(2)]
    with torch.no_grad():
        steps = [made(given[:, at : at + 1], positions=torch.tensor([at]), cache=cache) for at in range(12)]
        torch.testing.assert_close(torch.cat(steps, 1), made(given), rtol=0, atol=2e-5)


@EACH
def test_bf16_is_close_and_keeps_fp32_masters(name: str) -> None:
    exact, near = model(name)(tokens()), model(name, torch.bfloat16)
    logits = near(tokens())
    assert logits.dtype == torch.bfloat16
    assert (logits.float() - exact).norm() < 0.1 * exact.norm()
    cross_entropy(near.hidden(tokens()), near.output_weight, tokens())[0].backward()
    assert {weight.grad.dtype for weight in near.parameters() if weight.grad is not None} == {torch.float32}


@EACH
def test_the_seed_alone_decides_the_first_weights(name: str) -> None:
    def drawn(seed: int) -> list[Tensor]:
        torch.manual_seed(seed)
        return list(Transformer(SHAPES[name]).parameters())

    assert all(torch.equal(one, two) for one, two in zip(drawn(3), drawn(3), strict=True))
    assert not all(torch.equal(one, two) for one, two in zip(drawn(3), drawn(4), strict=True))


@pytest.mark.parametrize("name", ["qwen3", "llama", "experts"])
def test_an_untrained_model_is_nearly_uniform_and_its_layers_change_nothing(name: str) -> None:
    made = Transformer(SHAPES[name])
    x = made.embedding(tokens())
    torch.testing.assert_close(made.hidden(tokens()), made.norm(x))
    assert torch.isfinite(made(tokens())).all()


def test_gpt2_begins_as_its_paper_says() -> None:
    made = Transformer(replace(SHAPES["gpt2"], width=256, head_width=64, hidden=1024, layers=8))
    block = made.blocks[0]
    assert block.attention.q.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert block.feed_forward.down.weight.std().item() == pytest.approx(0.02 / 4, rel=0.05)  # 1 / sqrt(2 * layers)
    assert not block.attention.q.bias.any()


@EACH
def test_a_model_that_has_learnt_can_be_copied(name: str) -> None:
    made = model(name)
    cross_entropy(made.hidden(tokens()), made.output_weight, tokens())[0].backward()
    again = copy.deepcopy(made)
    assert torch.equal(again(tokens()), made(tokens()))


@EACH
def test_a_row_longer_than_the_context_is_refused(name: str) -> None:
    with pytest.raises(Unusable, match="a row of 301 tokens in a context of 300"):
        model(name)(tokens(1, 301))


@pytest.mark.slow
@EACH
def test_compiled_blocks_give_the_same_loss_and_gradients(name: str) -> None:
    plain, compiled = model(name), model(name)
    for block in compiled.blocks:
        block.compile(dynamic=False)
    for made in (plain, compiled):
        cross_entropy(made.hidden(tokens()), made.output_weight, tokens())[0].backward()
    for (key, one), two in zip(plain.named_parameters(), compiled.parameters(), strict=True):
        assert one.grad is not None
        assert two.grad is not None
        torch.testing.assert_close(two.grad, one.grad, rtol=1e-3, atol=2e-3, msg=key)
