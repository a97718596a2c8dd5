"""Losses on pairs, beside trl's own on random tensors."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from models.alignment.dpo import Sides, chosen_nll, dpo, ipo, margin

P, T = 6, 9


def logprobs(seed: int) -> Tensor:
    """Of tokens, [2 P, T]: chosen, then rejected."""
    return -torch.rand(2 * P, T, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 3


def mask() -> Tensor:
    """Which positions are of the completion, [2 P, T + 1]: the first token is never predicted."""
    lengths = torch.randint(1, T, (2 * P,), generator=torch.Generator().manual_seed(3))
    return (torch.arange(T + 1) > T - lengths[:, None]).long()


def sides(tokens: Tensor) -> tuple[Sides, Sides]:
    inside = mask()[:, 1:]
    model, reference = (tokens * inside).sum(1), (logprobs(1) * inside).sum(1)
    counts = inside.sum(1)
    return Sides(model[:P], reference[:P], counts[:P]), Sides(model[P:], reference[P:], counts[P:])


def trl_losses(tokens: Tensor, loss_type: str, beta: float, smoothing: float = 0.0) -> Tensor:
    """The loss that trl's DPOTrainer computes of the same log-probabilities, its mean over pairs."""
    trainer = pytest.importorskip("trl.trainer.dpo_trainer")
    inside = mask()

    def model(**given: Any) -> Any:
        nothing = torch.zeros(2 * P, T)
        return SimpleNamespace(
            log_probs=tokens * inside[:, 1:], entropy=nothing, mean_logits=nothing, is_top1=nothing.bool(), logits=nothing
        )

    reference = (logprobs(1) * inside[:, 1:]).sum(1)

    class Metrics(dict):  # type: ignore[type-arg]
        def __missing__(self, key: str) -> Any:
            return self.setdefault(key, Metrics()) if key in ("train", "eval") else self.setdefault(key, [])

    it = SimpleNamespace(
        model=SimpleNamespace(training=True),
        accelerator=SimpleNamespace(device="cpu", gather_for_metrics=lambda one: one, gather=lambda one: one),
        aux_loss_enabled=False, ld_alpha=None, precompute_ref_logps=True, f_divergence_type="reverse_kl", loss_types=[loss_type],
        loss_weights=[1.0], beta=beta, label_smoothing=smoothing, use_weighting=False, _metrics=Metrics(), _total_train_tokens=0, _tp_size=1,
        args=SimpleNamespace(), is_vision_model=False, _is_vlm=False,
    )  # fmt: skip
    given = {
        "input_ids": torch.zeros(2 * P, T + 1, dtype=torch.long), "attention_mask": torch.ones(2 * P, T + 1), "completion_mask": inside,
        "ref_chosen_logps": reference[:P], "ref_rejected_logps": reference[P:],
    }  # fmt: skip
    found: Tensor = trainer.DPOTrainer._compute_loss(it, model, given, return_outputs=False)
    return found


@pytest.mark.parametrize("beta", [0.1, 0.5])
def test_dpo_is_trls_sigmoid_loss_with_its_gradients(beta: float) -> None:
    tokens = logprobs(0).requires_grad_()
    ours, theirs = dpo(margin(*sides(tokens)), beta).mean(), trl_losses(tokens, "sigmoid", beta)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(ours, tokens), torch.autograd.grad(theirs, tokens))


@pytest.mark.parametrize("beta", [0.1, 0.5])
def test_length_normalised_ipo_is_trls_with_its_gradients(beta: float) -> None:
    tokens = logprobs(0).requires_grad_()
    ours = ipo(margin(*sides(tokens), length_normalised=True), beta).mean()
    theirs = trl_losses(tokens, "ipo", beta)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(ours, tokens), torch.autograd.grad(theirs, tokens))
    assert not torch.isclose(ipo(margin(*sides(tokens)), beta).mean(), theirs)  # by the paper it is the sum


def test_smoothed_labels_are_those_of_the_note_on_noisy_preferences() -> None:
    """trl's `robust` loss is the same two terms, subtracted and scaled; solved for their sum."""
    tokens, beta, e = logprobs(0), 0.3, 0.2
    plain = trl_losses(tokens, "sigmoid", beta)
    robust = trl_losses(tokens, "robust", beta, e) * (1 - 2 * e)
    flipped = ((1 - e) * plain - robust) / e
    torch.testing.assert_close(dpo(margin(*sides(tokens)), beta, e).mean(), (1 - e) * plain + e * flipped)


def test_at_the_reference_every_loss_is_known() -> None:
    nothing = torch.zeros(2, dtype=torch.float64)
    torch.testing.assert_close(dpo(nothing, 0.1, 0.1), torch.full_like(nothing, 0.6931471805599453))
    torch.testing.assert_close(ipo(nothing, 0.25), torch.full_like(nothing, 4.0))


def test_the_least_loss_of_ipo_is_at_its_target_and_of_dpo_nowhere() -> None:
    h = torch.linspace(-20, 20, 401, dtype=torch.float64)
    assert float(h[ipo(h, 0.1).argmin()]) == pytest.approx(5.0)
    assert bool((dpo(h, 0.1).diff() < 0).all())


def test_the_nll_of_chosen_answers_is_by_token() -> None:
    chosen, _ = sides(logprobs(0))
    inside = mask()[:P, 1:].bool()
    expected = [-float(row[keep].mean()) for row, keep in zip(logprobs(0)[:P], inside, strict=True)]
    assert chosen_nll(chosen).tolist() == pytest.approx(expected)
