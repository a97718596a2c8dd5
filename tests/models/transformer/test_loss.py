from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.transformer.loss import IGNORED, cross_entropy, token_losses


def drawn(count: int, vocab: int, width: int = 16, ignored: float = 0.3) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states [2, count/2, D], output matrix, targets of which some carry no loss."""
    torch.manual_seed(0)
    hidden = torch.randn(2, count // 2, width, requires_grad=True)
    weight = torch.randn(vocab, width, requires_grad=True)
    targets = torch.randint(0, vocab, (2, count // 2))
    targets[torch.rand(targets.shape) < ignored] = IGNORED
    return hidden, weight, targets


def plain(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    logits = F.linear(hidden, weight.to(hidden.dtype)).float()
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten(), ignore_index=IGNORED, reduction="sum")


def gradients(
    loss: Callable[[Tensor, Tensor, Tensor], Tensor], dtype: torch.dtype, *given: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The loss and what it says to hidden states and matrix, when it is scaled as training does."""
    hidden, weight, targets = given
    value = loss(hidden.to(dtype), weight, targets)
    return (value.detach(), *torch.autograd.grad(value * 0.25, (hidden, weight)))


@pytest.mark.parametrize("ignored", [0.0, 0.3])
@pytest.mark.parametrize(
    ("count", "vocab"), [(10, 7), (1100, 2000), (600, 90_000)]
)  # one chunk, several, a last one that is short
def test_it_is_pytorchs_cross_entropy_and_so_are_its_gradients(count: int, vocab: int, ignored: float) -> None:
    given = drawn(count, vocab, ignored=ignored)
    expected = gradients(plain, torch.float32, *given)
    found = gradients(lambda *given: cross_entropy(*given)[0], torch.float32, *given)
    assert cross_entropy(*given)[1] == (given[2] != IGNORED).sum()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_in_bf16_the_sums_stay_fp32() -> None:
    given = drawn(1100, 9000)
    exact = gradients(plain, torch.float32, *given)
    theirs = gradients(plain, torch.bfloat16, *given)
    ours = gradients(lambda *given: cross_entropy(*given)[0], torch.bfloat16, *given)
    assert ours[0].dtype == ours[2].dtype == torch.float32
    torch.testing.assert_close(ours[0], theirs[0], rtol=1e-6, atol=0)
    for found, peer, expected in zip(ours[1:], theirs[1:], exact[1:], strict=True):
        assert (found - expected).norm() <= 1.05 * (peer - expected).norm()


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    hidden = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([0, 4, IGNORED, 2, 2, 1])
    assert torch.autograd.gradcheck(lambda hidden, weight: cross_entropy(hidden, weight, targets)[0], (hidden, weight))


def test_sums_and_counts_add_up_over_micro_batches() -> None:
    hidden, weight, targets = drawn(40, 50)
    whole, count = cross_entropy(hidden, weight, targets)
    parts = [cross_entropy(hidden[row : row + 1], weight, targets[row : row + 1]) for row in range(2)]
    torch.testing.assert_close(parts[0][0] + parts[1][0], whole)
    assert parts[0][1] + parts[1][1] == count


def test_a_batch_without_targets_has_no_loss_and_no_gradient() -> None:
    hidden, weight, targets = drawn(10, 7)
    value, count = cross_entropy(hidden, weight, torch.full_like(targets, IGNORED))
    assert (value.item(), count.item()) == (0.0, 0)
    assert all(not grad.any() for grad in torch.autograd.grad(value, (hidden, weight)))


def test_unlikely_targets_and_huge_logits_stay_finite() -> None:
    hidden = torch.tensor([[100.0, 0.0], [-100.0, 0.0]], requires_grad=True)
    weight = torch.tensor([[10.0, 0.0], [-10.0, 0.0]], requires_grad=True)
    value, _ = cross_entropy(hidden, weight, torch.tensor([1, 1]))
    assert value.item() == 2000.0
    assert all(grad.isfinite().all() for grad in torch.autograd.grad(value, (hidden, weight)))


def test_a_frozen_matrix_or_frozen_states_ask_for_no_gradient() -> None:
    hidden, weight, targets = drawn(20, 9)
    (expected,) = torch.autograd.grad(plain(hidden, weight, targets), hidden)
    value, _ = cross_entropy(hidden, weight.detach(), targets)
    torch.testing.assert_close(torch.autograd.grad(value, hidden)[0], expected)
    without, _ = cross_entropy(hidden.detach(), weight.detach(), targets)
    assert not without.requires_grad
    torch.testing.assert_close(without, value.detach())


def test_the_loss_of_each_token_is_pytorchs() -> None:
    hidden, weight, targets = drawn(1100, 9000)
    found = token_losses(hidden, weight, targets)
    expected = F.cross_entropy((hidden @ weight.T).flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none")
    assert found.shape == targets.shape
    assert not found.requires_grad
    torch.testing.assert_close(found.flatten(), expected.detach(), rtol=1e-5, atol=1e-5)
    assert token_losses(hidden.bfloat16(), weight, targets).dtype == torch.float32


def test_all_logits_never_exist_at_once() -> None:
    """The largest block that is asked for stays far under positions times vocabulary."""
    hidden, weight, targets = drawn(4096, 20_000)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        cross_entropy(hidden, weight, targets)[0].backward()
    assert max(event.self_cpu_memory_usage for event in profile.events()) < 4 * 4096 * 20_000 / 4
