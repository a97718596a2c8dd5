import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.transformer import attention
from models.transformer.attention import causal_attention


def drawn(heads: int, kv_heads: int, length: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """As the model gives them: [B, T, H, C] seen as [B, H, T, C]."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, length, count, 8).to(dtype).transpose(1, 2) for count in (heads, kv_heads, kv_heads))
    return q.requires_grad_(), k.requires_grad_(), v.requires_grad_()


def plain(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    group = q.shape[1] // k.shape[1]
    scores = q @ k.repeat_interleave(group, 1).mT * q.shape[-1] ** -0.5
    above = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool).triu(1)
    return scores.masked_fill(above, -torch.inf).softmax(-1) @ v.repeat_interleave(group, 1)


def values(attend: object, given: tuple[Tensor, ...]) -> list[Tensor]:
    assert callable(attend)
    out = attend(*given)
    up = torch.randn(out.shape, generator=torch.Generator().manual_seed(2)).to(out.dtype)
    return [out.detach(), *torch.autograd.grad(out, given, up)]


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 200, 513, 700])
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 2), (3, 3), (4, 1)])
def test_attention_and_its_gradients_are_those_of_the_formula(heads: int, kv_heads: int, length: int) -> None:
    given = drawn(heads, kv_heads, length)
    for found, expected in zip(values(causal_attention, given), values(plain, given), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_rows_longer_than_the_bound_go_another_way_and_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    given = drawn(4, 2, 200)
    kept = values(causal_attention, given)
    monkeypatch.setattr(attention, "LONGEST", 100)
    for found, expected in zip(values(causal_attention, given), kept, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_without_gradients_the_numbers_are_the_same() -> None:
    given = drawn(4, 2, 200)
    with torch.no_grad():
        torch.testing.assert_close(causal_attention(*given), causal_attention(*drawn(4, 2, 200)))
    torch.testing.assert_close(causal_attention(*given).detach(), plain(*given).detach(), rtol=1e-4, atol=1e-5)


def test_in_bf16_it_is_nearly_as_near_to_the_truth_as_pytorch_is() -> None:
    """Scores and probabilities are rounded to bf16 here, in PyTorch's kernel only what goes into a product."""
    given = drawn(4, 2, 300, torch.bfloat16)
    exact = values(plain, tuple(one.detach().float().requires_grad_() for one in given))
    theirs = values(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True), given)
    for found, peer, expected in zip(values(causal_attention, given), theirs, exact, strict=True):
        assert found.dtype == torch.bfloat16
        assert (found.float() - expected).norm() <= 2 * (peer.float() - expected).norm()
