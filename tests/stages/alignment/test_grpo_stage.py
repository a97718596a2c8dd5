"""GRPO as a stage: it raises the reward, its step is the objective's, however it is cut up; killed, it ends as one that was not."""

import threading
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from torch import Tensor

from models.alignment.preference import Answer, answers
from models.formats.peft import load_adapter
from models.formats.pretrained import load_model
from models.transformer.lora import merge
from models.transformer.loss import IGNORED
from models.transformer.transformer import Transformer
from stages.alignment.grpo import GRPO, GrpoConfig
from stages.alignment.grpo_training import work
from stages.compute import Compute
from stages.stage import Input
from storage.problem import Problem
from tests.stages.alignment.made_rewards import EQUAL, LETTERS
from tests.stages.killed import journal, kill_behind, outputs

SETTINGS: dict[str, Any] = {
    "steps": 2, "prompts": 4, "samples": 4, "tokens": 10, "rewards": {LETTERS: 1.0}, "matrix_rate": 0.05, "rate": 0.02,
    "embedding_rate": 0.02,
}  # fmt: skip


def grpo(
    policy: Input, problems: Input, out: Path, compute: dict[str, Any] | None = None, **settings: Any
) -> tuple[dict[str, Any], pl.DataFrame, pl.DataFrame]:
    """Figures, metrics, rollouts; within this process."""
    out.mkdir(exist_ok=True, parents=True)
    told = Compute(threads=1, checkpoint_seconds=0, **(compute or {}))
    figures = work({"model": policy, "prompts": problems}, out, GrpoConfig(**(SETTINGS | settings)), told)
    return figures, pl.read_parquet(out / "metrics.parquet"), journal(out)


def test_the_reward_rises_and_every_answer_can_be_read(policy: Input, problems: Input, tmp_path: Path) -> None:
    figures, metrics, rows = grpo(policy, problems, tmp_path, steps=20)
    assert figures["reward_last"] > figures["reward_first"] + 0.15
    assert metrics["kl"][1] == pytest.approx(0, abs=1e-6)
    assert metrics["kl"][20] > 0.1
    assert metrics["gap"].drop_nulls().max() < 1e-5
    assert metrics["clip_fraction"].drop_nulls().max() == 0
    assert "accuracy" not in figures
    assert rows.height == 20 * 16 == metrics["rollouts"][20]
    last = rows.filter(pl.col("step") == 19)
    assert last["reward"].mean() == pytest.approx(metrics["reward"][20])
    assert last["tokens"].list.len().mean() == metrics["length"][20]
    groups = last.group_by("id").agg(pl.col("advantage").sum(), pl.col("reward").std())
    assert groups["advantage"].abs().max() < 1e-4
    assert load_model(tmp_path).shape == load_model(policy.folder).shape


@pytest.mark.parametrize(
    ("variant", "settings"),
    [("grpo", {}), ("dr_grpo", {}), ("dapo", {"draws": 1}), ("grpo", {"truncated": "masked", "kl_weight": 0.5, "tokens": 60})],
)
def test_a_step_goes_along_the_gradient_of_the_objective_written_out(
    policy: Input, problems: Input, tmp_path: Path, variant: str, settings: dict[str, Any]
) -> None:
    """The norm of its gradient, from the rows of the first round and the first weights."""
    _, metrics, rows = grpo(policy, problems, tmp_path, variant=variant, steps=1, **settings)
    masked = settings.get("truncated") == "masked"
    assert rows["used"].to_list() == [not masked or reason == "stop" for reason in rows["finish_reason"]]
    assert metrics["grad_norm"][1] == pytest.approx(norm(policy, rows, variant), rel=1e-3)


def norm(policy: Input, rows: pl.DataFrame, variant: str) -> float:
    """Of the objective's gradient, where nothing has moved: k3 has none there."""
    model = load_model(policy.folder)
    lengths = [len(tokens) if used else 0 for used, tokens in zip(rows["used"], rows["tokens"], strict=True)]
    found = []
    for row, length in zip(rows.iter_rows(named=True), lengths, strict=True):
        now = logprobs(model, row["prompt_tokens"], row["tokens"])
        losses = -(now - now.detach()).exp() * row["advantage"]
        weight = {"grpo": 1 / max(1, length), "dr_grpo": 1 / 10, "dapo": len(lengths) / sum(lengths)}[variant]
        found.append(losses.sum() * weight / len(lengths) * bool(length))
    gradients = torch.autograd.grad(torch.stack(found).sum(), list(model.parameters()))
    return float(torch.cat([one.flatten() for one in gradients]).norm())


def logprobs(model: Transformer, prompt: list[int], tokens: list[int]) -> Tensor:
    batch = answers([Answer(prompt, tokens)])
    every = torch.log_softmax(model(batch.tokens), -1)
    asked = batch.targets[0] != IGNORED
    return every[0, asked].gather(1, batch.targets[0, asked][:, None])[:, 0]


def test_a_round_is_cut_into_parts_and_gone_through_again_from_its_old_probabilities(
    policy: Input, problems: Input, tmp_path: Path
) -> None:
    _, metrics, rows = grpo(policy, problems, tmp_path, steps=8, parts=2, passes=2)
    assert rows["step"].unique().sort().to_list() == [0, 4]
    assert metrics["reward"][1] == metrics["reward"][4] != metrics["reward"][5]
    assert metrics["clip_fraction"][1] == 0  # nothing has moved yet
    assert min(metrics["clip_fraction"][4], metrics["clip_fraction"][8]) > 0.01
    assert metrics["gap"].drop_nulls().max() < 1e-5


def test_dynamic_sampling_draws_until_all_groups_tell_something(policy: Input, problems: Input, tmp_path: Path) -> None:
    """Two answers of two tokens each: often neither has a letter."""
    _, metrics, rows = grpo(policy, problems, tmp_path, variant="dapo", samples=2, tokens=2, steps=3, draws=50)
    used = rows.filter("used")
    assert rows.height > used.height == 3 * 4 * 2
    assert used.group_by("step", "id").agg(pl.col("reward").n_unique())["reward"].to_list() == [2] * 12
    assert metrics["informative"].drop_nulls().max() < 1
    assert rows.filter(pl.col("step") == 0)["reward"].mean() == pytest.approx(metrics["reward"][1])


@pytest.mark.parametrize(
    "settings", [{}, {"variant": "dr_grpo"}, {"variant": "dapo"}, {"variant": "dapo", "parts": 2, "passes": 2}]
)
def test_where_no_answer_is_better_than_another_nothing_moves(
    policy: Input, problems: Input, tmp_path: Path, settings: dict[str, Any]
) -> None:
    _, metrics, rows = grpo(policy, problems, tmp_path, rewards={EQUAL: 1.0}, samples=8, **settings)
    assert metrics["informative"].drop_nulls().to_list()[-1] == 0
    assert rows["advantage"].drop_nulls().unique().to_list() == [0]
    before, after = load_model(policy.folder).state_dict(), load_model(tmp_path).state_dict()
    assert all(torch.equal(after[name], weight) for name, weight in before.items())


@pytest.mark.parametrize(
    ("reward", "says"),
    [
        ("too_few", "gave 1 values; expected one for each of the 16 answers"),
        ("no_number", "gave nan for 1 of 16 answers; expected finite numbers"),
        ("nothing", "gave None .*; expected a number for each of the 16 answers"),
        ("SETTINGS", "there is no reward"),
        ("EQUAL", "is str; expected a function"),
    ],
)
def test_a_reward_that_is_none_is_named(policy: Input, problems: Input, tmp_path: Path, reward: str, says: str) -> None:
    with pytest.raises(Problem, match=says):
        grpo(policy, problems, tmp_path, rewards={f"tests.stages.alignment.made_rewards:{reward}": 1.0})


def test_a_step_is_the_same_however_it_is_cut_up(policy: Input, problems: Input, tmp_path: Path) -> None:
    one, other = (
        grpo(policy, problems, tmp_path / str(micro), {"micro_rows": micro}, variant="dapo", kl_weight=0.1, draws=1)[1]
        for micro in (1, 8)
    )
    for name in ("loss", "grad_norm", "reward", "kl", "gap"):
        assert one[name].drop_nulls().to_list() == pytest.approx(other[name].drop_nulls().to_list(), rel=1e-3, abs=1e-6)


def test_adapters_alone_learn_with_the_frozen_model_as_their_reference(policy: Input, problems: Input, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"steps": 8, "rate": 0.05, "lora": {"rank": 4, "targets": ["q", "v", "up"]}}
    _, metrics, _ = grpo(policy, problems, tmp_path, **settings)
    assert metrics["kl"][1] == pytest.approx(0, abs=1e-6)
    assert metrics["kl"][8] > 0.01
    base = load_model(policy.folder)
    load_adapter(base, tmp_path / "adapter")
    merge(base)
    learnt = load_model(tmp_path).state_dict()
    assert all(torch.equal(learnt[name], weight) for name, weight in base.state_dict().items())


def test_what_cannot_be_checked_or_compiled_is_refused(policy: Input, problems: Input, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="answers have another length in each step"):
        grpo(policy, problems, tmp_path / "compiled", {"compile": True})
    rows = pl.read_parquet(problems.shards[1]).with_columns(expected=pl.lit("Winnow"))
    (tmp_path / "words").mkdir()
    rows.write_parquet(tmp_path / "words" / "words.parquet")
    words = Input(tmp_path / "words", ("words.parquet",))
    with pytest.raises(Problem, match="expects 'Winnow', which is no number"):
        grpo(policy, words, tmp_path / "out", rewards={"answer": 1.0})


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["full", "lora", "parts"])
def test_a_job_that_is_killed_at_any_step_ends_with_the_same_weights(
    policy: Input, problems: Input, tmp_path: Path, kind: str
) -> None:
    more: dict[str, Any] = {"full": {}, "lora": {"lora": {"rank": 4}}, "parts": {"parts": 2, "passes": 2, "variant": "dapo"}}
    settings: dict[str, Any] = SETTINGS | {"steps": 40} | more[kind]
    whole, out = tmp_path / "whole", tmp_path / "killed"
    run(policy, problems, whole, settings)
    for at in (3, 14, 27):
        killer = threading.Thread(target=kill_behind, args=(out, at))
        killer.start()
        with pytest.raises(Problem, match="SIGKILL"):
            run(policy, problems, out, settings, {"checkpoint_steps": "1"})
        killer.join()
    run(policy, problems, out, settings, {"checkpoint_steps": "1"})
    assert outputs(out) == outputs(whole)


@pytest.mark.slow
def test_two_processes_make_one_step_together(policy: Input, problems: Input, tmp_path: Path) -> None:
    run(policy, problems, tmp_path, SETTINGS | {"steps": 3}, {"processes": "2"})
    rows, metrics = journal(tmp_path), pl.read_parquet(tmp_path / "metrics.parquet")
    first = rows.filter(pl.col("step") == 0)
    assert first["id"].n_unique() == 4
    assert metrics["reward"][1] == pytest.approx(first["reward"].mean())
    assert metrics["grad_norm"][1] == pytest.approx(norm(policy, first, "grpo"), rel=1e-3)
    assert metrics["rollouts"][3] == rows.height == 3 * 16


def run(
    policy: Input, problems: Input, out: Path, settings: dict[str, Any], compute: dict[str, str] | None = None
) -> dict[str, Any]:
    out.mkdir(exist_ok=True, parents=True)
    told = {"threads": "1", "checkpoint_seconds": "0", "device": "cpu"} | (compute or {})
    found: dict[str, Any] = GRPO.run({"model": policy, "prompts": problems, "compute": told}, out, GrpoConfig(**settings))
    return found
