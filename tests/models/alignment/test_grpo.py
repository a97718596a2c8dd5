"""The losses of GRPO and its variants: against trl's on random tensors, against sums written out, and what a clip takes away."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from models.alignment.advantages import group_advantages, informative
from models.alignment.grpo import Variant, grpo_losses, token_weights

LONGEST = 9
LOW, HIGH, KL = 0.2, 0.28, 0.04


def drawn() -> dict[str, Tensor]:
    """Twelve completions of unequal length: old unequal to new log-probabilities, advantages of both signs, ratios beyond both clips."""
    torch.manual_seed(0)
    lengths = torch.tensor([9, 3, 5, 1, 9, 7, 2, 8, 4, 6, 9, 5])
    mask = torch.arange(LONGEST) < lengths[:, None]
    new = -torch.rand(12, LONGEST) * 3
    old = new + 0.4 * torch.randn(12, LONGEST)
    rewards = torch.tensor([0.0, 1.0, 1.0, 0.0, 0.0, 1.1, 0.1, 1.0, 0.0, 0.0, 1.0, 0.1]).view(3, 4)
    reference = new + 0.3 * torch.randn(12, LONGEST)
    return {"new": new, "old": old, "mask": mask, "lengths": lengths, "rewards": rewards, "reference": reference}


def objective(given: dict[str, Tensor], variant: Variant, kl: float) -> tuple[Tensor, Tensor, Tensor]:
    """Its value, its gradient in the new log-probabilities, the share of clipped tokens."""
    new = given["new"].clone().requires_grad_()
    advantages = group_advantages(given["rewards"], scaled=variant != "dr_grpo").view(-1, 1)
    reference = given["reference"] if kl else None
    losses, clipped = grpo_losses(new, given["old"], advantages, LOW, HIGH, reference, kl)
    weights = token_weights(given["lengths"], variant, LONGEST, 12, float(given["lengths"].sum()))[:, None]
    total = (losses * weights * given["mask"]).sum()
    share = (clipped & given["mask"]).sum() / given["mask"].sum()
    return total.detach(), torch.autograd.grad(total, new)[0], share


@pytest.mark.slow  # importing trl takes its time
@pytest.mark.parametrize("kl", [0.0, KL])
@pytest.mark.parametrize("variant", ["grpo", "dr_grpo", "dapo"])
def test_value_gradient_and_share_of_clipped_tokens_are_those_of_trl(variant: Variant, kl: float) -> None:
    pytest.importorskip("trl", reason="trl is not installed (test extra)")
    given = drawn()
    new = given["new"].clone().requires_grad_()
    loss, clipped = of_trl(given, new, variant, kl)
    value, gradient, share = objective(given, variant, kl)
    assert 0.1 < float(share) < 0.9
    torch.testing.assert_close(value, loss.detach())
    torch.testing.assert_close(gradient, torch.autograd.grad(loss, new)[0])
    assert float(share) == pytest.approx(clipped)


def of_trl(given: dict[str, Tensor], new: Tensor, variant: str, kl: float) -> tuple[Tensor, float]:
    """trl's own `_compute_loss`, whose model's log-probabilities are `new`."""
    from collections import defaultdict

    from trl.trainer.grpo_trainer import GRPOTrainer

    trainer: Any = GRPOTrainer.__new__(GRPOTrainer)
    trainer._get_per_token_logps_and_entropies = lambda *given, **named: (new, torch.zeros_like(new), None)
    trainer.aux_loss_enabled = trainer.use_vllm = trainer._entropy_bonus_enabled = False
    trainer.top_entropy_quantile = 1.0
    trainer.off_policy_mask_threshold = None
    trainer.importance_sampling_level = "token"
    trainer.beta, trainer.loss_type = kl, variant
    trainer.epsilon_low, trainer.epsilon_high = LOW, HIGH
    trainer.max_completion_length = LONGEST
    trainer.current_gradient_accumulation_steps = 1
    trainer.args = SimpleNamespace(delta=None, use_bias_correction_kl=False, steps_per_generation=1)
    trainer.model = torch.nn.Identity().train()
    trainer.accelerator = SimpleNamespace(num_processes=1, gather=lambda x: x, reduce=lambda x, reduction: x)
    trainer._metrics = {"train": defaultdict(list)}
    groups = given["rewards"]
    advantages = groups - groups.mean(1, keepdim=True)
    if variant != "dr_grpo":
        advantages = advantages / (groups.std(1, keepdim=True) + 1e-4)
    mask = given["mask"].long()
    inputs = {
        "prompt_ids": torch.zeros(12, 2, dtype=torch.long), "prompt_mask": torch.ones(12, 2, dtype=torch.long),
        "completion_ids": torch.zeros(12, LONGEST, dtype=torch.long), "completion_mask": mask, "advantages": advantages.view(-1),
        "old_per_token_logps": given["old"], "ref_per_token_logps": given["reference"], "num_items_in_batch": mask.sum(),
    }  # fmt: skip
    loss = trainer._compute_loss(trainer.model, inputs)
    return loss, trainer._metrics["train"]["clip_ratio/region_mean"][0]


def test_a_clipped_token_has_no_gradient_and_clipping_never_makes_a_loss_smaller() -> None:
    new = torch.tensor([0.5, -0.5, 0.5, -0.5, 0.0]).requires_grad_()
    advantages = torch.tensor([1.0, -1.0, -1.0, 1.0, 2.0])
    losses, clipped = grpo_losses(new, torch.zeros(5), advantages, LOW, HIGH)
    assert clipped.tolist() == [True, True, False, False, False]
    assert losses.tolist() == pytest.approx([-1.28, 0.8, 2.718281828**0.5, -(2.718281828**-0.5), -2.0])
    gradient = torch.autograd.grad(losses.sum(), new)[0]
    assert (gradient != 0).tolist() == [False, False, True, True, True]


def test_weights_add_up_tokens_as_each_paper_does() -> None:
    """Of three answers to ten tokens at most, one of which is masked."""
    lengths = torch.tensor([2, 0, 8])
    assert token_weights(lengths, "grpo", 10, 3, 10).tolist() == pytest.approx([1 / 6, 0, 1 / 24])
    assert token_weights(lengths, "dr_grpo", 10, 3, 10).tolist() == pytest.approx([1 / 30, 0, 1 / 30])
    assert token_weights(lengths, "dapo", 10, 3, 10).tolist() == pytest.approx([1 / 10, 0, 1 / 10])


def test_advantages_compare_within_a_group_and_a_group_of_equals_says_nothing() -> None:
    rewards = torch.tensor([[0.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    # Of .1 eight times the mean in fp32 is not .1.
    for equal in (0.1, 1 / 3, 1.1):
        for scaled in (True, False):
            assert not group_advantages(torch.full((2, 8), equal), scaled).any()
    centred = group_advantages(rewards, scaled=False)
    assert centred.tolist() == [[-0.75, 0.25, 0.25, 0.25], [0.0] * 4]
    assert group_advantages(rewards, scaled=True)[0].tolist() == pytest.approx((centred[0] / 0.5001).tolist())
    assert group_advantages(rewards[:, :1], scaled=True).tolist() == [[0.0], [0.0]]
    assert informative(rewards).tolist() == [True, False]
