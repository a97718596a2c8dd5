"""The reward model: its loss beside trl's, where it scores, and its folder."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from models.alignment.preference import Answer
from models.alignment.reward import HEAD, RewardModel, centring, load_reward_model, pair_loss, save_head, score
from models.formats.pretrained import save_model
from models.transformer.shape import Shape
from models.transformer.transformer import Transformer
from models.unusable import Unusable

P = 7


def trl_loss(scores: Tensor, margin: Tensor | None, centre: float | None) -> Tensor:
    trainer = pytest.importorskip("trl.trainer.reward_trainer")
    it = SimpleNamespace(
        model=SimpleNamespace(training=False), args=SimpleNamespace(center_rewards_coefficient=centre), _total_train_tokens=0, _tp_size=1,
        accelerator=SimpleNamespace(gather=lambda one: one, gather_for_metrics=lambda one: one),
        _metrics={"eval": {name: [] for name in ("num_tokens", "min_reward", "mean_reward", "max_reward", "accuracy", "margin")}},
    )  # fmt: skip
    given: dict[str, Any] = {} if margin is None else {"margin": margin}
    found: Tensor = trainer.RewardTrainer.compute_loss(it, lambda **_: SimpleNamespace(logits=scores[:, None]), given)
    return found


@pytest.mark.parametrize("margined", [False, True])
@pytest.mark.parametrize("centre", [None, 0.01])
def test_the_loss_is_trls_with_its_gradients(margined: bool, centre: float | None) -> None:
    torch.manual_seed(0)
    scores = torch.randn(2 * P, dtype=torch.float64, requires_grad=True)
    margin = torch.rand(P, dtype=torch.float64) if margined else None
    ours = (pair_loss(scores[:P], scores[P:], margin) + (centre or 0.0) * centring(scores[:P], scores[P:])).mean()
    theirs = trl_loss(scores, margin, centre)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(ours, scores), torch.autograd.grad(theirs, scores))


def made() -> RewardModel:
    torch.manual_seed(0)
    model = RewardModel(
        Transformer(Shape(vocab=30, width=16, layers=2, heads=2, kv_heads=1, head_width=8, hidden=32, context=64))
    )
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
    return model


def test_an_answer_is_scored_at_its_last_token_in_any_batch() -> None:
    model = made()
    given = [Answer([1, 2], [3, 4, 5]), Answer([1], [2]), Answer(list(range(1, 20)), [7, 8]), Answer([1, 2], [3, 4, 6])]
    together = score(model, given)
    assert score(model, given, batch_tokens=1) == pytest.approx(together, abs=1e-5)
    for one, found in zip(given, together, strict=True):
        ids = torch.tensor([[*one.prompt, *one.completion]])
        alone = model.head(model.model.hidden(ids)[:, -1])
        assert found == pytest.approx(float(alone), abs=1e-5)
    assert together[0] != together[3]


def test_a_new_head_holds_all_answers_equal() -> None:
    model = RewardModel(made().model)
    assert score(model, [Answer([1], [2, 3]), Answer([4], [5])]) == [0.0, 0.0]


def test_a_folder_gives_back_the_model_it_was_made_of(tmp_path: Path) -> None:
    model = made()
    save_model(model.model, tmp_path, start=1, stops=[2], pad=0)
    with pytest.raises(Unusable, match="expected a reward model"):
        load_reward_model(tmp_path)
    save_head(model, tmp_path)
    given = [Answer([1, 2], [3, 4, 5])]
    assert score(load_reward_model(tmp_path), given) == score(model, given)
    save_file({"weight": torch.zeros(1, 3), "bias": torch.zeros(1)}, tmp_path / HEAD)
    with pytest.raises(Unusable, match="the model beside it asks for"):
        load_reward_model(tmp_path)
