"""PPO as a stage: it raises the reward model's score, stops in time, and ends killed as it ends whole."""

import threading
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from models.alignment.reward import RewardModel, save_head
from models.formats.pretrained import load_model
from models.tokenizer.load import load
from stages.alignment.policy import written
from stages.alignment.ppo import PPO, PpoConfig
from stages.alignment.ppo_round import earnings
from stages.alignment.ppo_training import GOOD, work
from stages.alignment.ppo_watch import best, complaint
from stages.compute import Compute
from stages.stage import Input
from storage.problem import Problem
from tests.stages.killed import journal, kill_behind, outputs
from tests.stages.posttraining import sft_worlds

SETTINGS: dict[str, Any] = {
    "steps": 24, "prompts": 24, "tokens": 4, "passes": 2, "parts": 2, "rate": 0.01, "kl_weight": 0.02, "kl_stop": 0.0, "decay": 0.5,
}  # fmt: skip


@pytest.fixture(scope="session")
def judge(policy: Input, tmp_path_factory: pytest.TempPathFactory) -> Input:
    """A reward model that looks at the last token before the end, and likes letters."""
    folder: Path = tmp_path_factory.mktemp("reward")
    reward, tokenizer = RewardModel(load_model(policy.folder)), load(policy.folder)
    pieces = [tokenizer.decode([token]) for token in range(tokenizer.size)]
    liked = torch.tensor([piece.strip().isascii() and piece.strip().isalpha() for piece in pieces])
    with torch.no_grad():
        seen_VD = torch.nn.functional.normalize(reward.model.embedding.weight, dim=1)
        reward.head.weight.copy_(10 * (seen_VD[liked].mean(0) - seen_VD[~liked].mean(0)))
    written(folder, reward.model, tokenizer)
    save_head(reward, folder)
    return sft_worlds.listed(folder)


def ppo(policy: Input, judge: Input, problems: Input, out: Path, **settings: Any) -> tuple[dict[str, Any], pl.DataFrame]:
    out.mkdir(exist_ok=True, parents=True)
    given = {"model": policy, "reward_model": judge, "prompts": problems}
    told = work(given, out, PpoConfig(**(SETTINGS | settings)), Compute(threads=1, checkpoint_seconds=0))
    return told, pl.read_parquet(out / "metrics.parquet")


def test_the_score_rises_and_what_it_costs_is_told(policy: Input, judge: Input, problems: Input, tmp_path: Path) -> None:
    told, metrics = ppo(policy, judge, problems, tmp_path, prompts=64, steps=40)
    assert told["reward_last"] > told["reward_first"] + 0.3
    assert metrics["divergence"][1] == pytest.approx(0, abs=1e-5)
    assert told["divergence"] > 0.3
    assert metrics["gap"].drop_nulls().max() < 1e-5
    assert metrics["moved"][1] == pytest.approx(0, abs=1e-9)
    assert metrics["moved"][4] > 1e-4
    assert metrics["clip_fraction"][4] > 0
    assert metrics["value_loss"][40] < metrics["value_loss"][1]
    assert metrics["round"].drop_nulls().max() == 10
    rows = journal(tmp_path)
    assert rows.height == 10 * 64 == rows.select("step", "id", "sample", "seed").n_unique()
    assert rows.filter(pl.col("step") == 0)["reward_model"].mean() == pytest.approx(metrics["reward"][1])
    assert load_model(tmp_path).shape == load_model(policy.folder).shape


def test_a_round_that_has_moved_too_far_is_left(policy: Input, judge: Input, problems: Input, tmp_path: Path) -> None:
    _, metrics = ppo(policy, judge, problems, tmp_path, steps=8, kl_stop=1e-6)
    assert metrics["round"].drop_nulls().max() > 2
    rounds, moved = metrics["round"].to_list(), metrics["moved"].to_list()
    for step in range(2, 9):
        assert (rounds[step] > rounds[step - 1]) == (moved[step - 1] > 1e-6)


def test_the_weight_of_the_divergence_seeks_its_target(policy: Input, judge: Input, problems: Input, tmp_path: Path) -> None:
    _, metrics = ppo(policy, judge, problems, tmp_path, steps=8, parts=1, passes=1, kl_target=50.0, kl_horizon=24)
    assert metrics["kl_weight"].to_list()[1:] == pytest.approx([0.02 * 0.8**step for step in range(8)])


def test_a_policy_that_goes_too_far_is_stopped_and_the_one_of_before_kept(
    policy: Input, judge: Input, problems: Input, tmp_path: Path
) -> None:
    with pytest.raises(
        Exception, match=r"nats from the first model; expected at most 0.05 \(kl_limit\).*The model of before is in"
    ):
        ppo(policy, judge, problems, tmp_path, kl_limit=0.05, window=1)
    kept, first = load_model(tmp_path / GOOD).state_dict(), load_model(policy.folder).state_dict()
    assert all(torch.equal(kept[name], weight) for name, weight in first.items())


def test_what_a_token_earns_is_minus_its_divergence_and_the_score_at_the_end() -> None:
    earned = earnings(2.0, torch.tensor([-1.0, -2.0, -0.5]), torch.tensor([-1.5, -1.0, -0.5]), 0.1)
    assert earned.tolist() == pytest.approx([-0.05, 0.1, 2.0])


def rounds(*told: tuple[float, float, float, float]) -> list[dict[str, float]]:
    return [dict(zip(("reward", "judge", "divergence", "length"), one, strict=True)) for one in told]


FIRST, LATER = (0.0, 0.5, 0.0, 10.0), (1.0, 0.8, 2.0, 12.0)


@pytest.mark.parametrize(
    ("last", "wrong"),
    [
        ((2.0, 0.9, 3.0, 12.0), None),
        ((2.0, 0.4, 3.0, 12.0), "judge's score has fallen from 0.80 to 0.40 while the reward model's went from 1.00 to 2.00"),
        ((0.5, 0.4, 3.0, 12.0), None),  # both fell: it is worse, not hacked
        ((2.0, 0.9, 41.0, 12.0), "41.0 nats from the first model"),
        ((2.0, 0.9, 3.0, 41.0), "answers have 41 tokens, at first 10"),
    ],
)
def test_the_watch_sees_what_pleases_the_reward_model_alone(last: tuple[float, float, float, float], wrong: str | None) -> None:
    told = rounds(FIRST, FIRST, LATER, LATER, last, last)
    found = complaint(told, PpoConfig(window=2))
    assert found is None if wrong is None else wrong in (found or "")
    assert complaint(told[:1], PpoConfig(window=2)) is None


def test_the_best_round_is_the_judges_or_without_one_the_newest() -> None:
    assert best(rounds(FIRST, LATER), 1)
    assert not best(rounds(LATER, FIRST), 1)
    assert not best(rounds(LATER), 2)
    assert best([{name: one[name] for name in ("reward", "divergence", "length")} for one in rounds(LATER, FIRST)], 1)


def test_a_reward_model_with_another_tokenizer_is_refused(policy: Input, problems: Input, tmp_path: Path) -> None:
    from models.tokenizer import bytelevel
    from models.tokenizer.load import made

    (tmp_path / "tokenizer").mkdir()
    made(bytelevel.train(["How much is 34 + 12? It is 46. Indeed. Be short. user assistant system tool"] * 5, 300)).save(
        tmp_path / "tokenizer"
    )
    other = sft_worlds.model(tmp_path / "other", sft_worlds.listed(tmp_path / "tokenizer"))
    save_head(RewardModel(load_model(other.folder)), other.folder)
    with pytest.raises(Problem, match="the reward model has another tokenizer"):
        ppo(policy, sft_worlds.listed(other.folder), problems, tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["full", "lora"])
def test_a_job_that_is_killed_at_any_step_ends_with_the_same_weights(
    policy: Input, judge: Input, problems: Input, tmp_path: Path, kind: str
) -> None:
    more: dict[str, Any] = {"lora": {"rank": 4}} if kind == "lora" else {"kl_target": 3.0, "kl_stop": 0.002}
    whole, out = tmp_path / "whole", tmp_path / "killed"
    run(policy, judge, problems, whole, more)
    for at in (3, 10, 17):
        killer = threading.Thread(target=kill_behind, args=(out, at))
        killer.start()
        with pytest.raises(Problem, match="SIGKILL"):
            run(policy, judge, problems, out, more)
        killer.join()
    run(policy, judge, problems, out, more)
    assert outputs(out) == outputs(whole)


def run(policy: Input, judge: Input, problems: Input, out: Path, more: dict[str, Any]) -> None:
    out.mkdir(exist_ok=True, parents=True)
    told = {"threads": "1", "checkpoint_seconds": "0", "checkpoint_steps": "1", "device": "cpu"}
    given = {"model": policy, "reward_model": judge, "prompts": problems, "compute": told}
    PPO.run(given, out, PpoConfig(**(SETTINGS | more)))


def test_more_parts_than_prompts_are_refused() -> None:
    with pytest.raises(ValueError, match="parts is 3, prompts 2"):
        PpoConfig(prompts=2, parts=3)
