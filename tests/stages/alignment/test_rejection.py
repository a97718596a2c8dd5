"""Rejection sampling as a stage: what is kept, that a model learns from it, and that a killed job ends as one that was not."""

import threading
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from stages.alignment.rejection import REJECTION, RejectionConfig
from stages.alignment.rejection_training import work
from stages.compute import Compute
from stages.stage import Input
from storage.problem import Problem
from tests.stages.alignment.made_rewards import LETTERS
from tests.stages.killed import journal, kill_behind, outputs

SETTINGS: dict[str, Any] = {
    "steps": 16, "prompts": 6, "samples": 6, "tokens": 24, "rewards": {LETTERS: 1.0}, "keep": 2, "least": 0.5, "learnt": 12,
    "optimizer": "adamw", "rate": 0.03,
}  # fmt: skip


def test_the_shortest_good_answers_are_kept_and_the_model_learns_from_them(
    policy: Input, problems: Input, tmp_path: Path
) -> None:
    config = RejectionConfig(**SETTINGS)
    figures = work({"model": policy, "prompts": problems}, tmp_path, config, Compute(threads=1, checkpoint_seconds=0))
    metrics, rows = pl.read_parquet(tmp_path / "metrics.parquet"), journal(tmp_path)
    assert figures["reward_last"] > figures["reward_first"] + 0.05
    assert metrics["length"][16] < 0.5 * metrics["length"][1]
    assert metrics["kl"][1] == pytest.approx(0, abs=1e-6)
    used = rows.filter("used")
    assert 16 * 12 <= used.height <= 16 * 12 + 12
    assert used["reward"].min() >= 0.5
    assert set(used["finish_reason"]) == {"stop"}
    assert used.group_by("step", "id").len()["len"].max() <= 2
    good = pl.col("reward").ge(0.5) & pl.col("finish_reason").eq("stop")
    for _, group in rows.filter(good).group_by("step", "id"):
        kept = [tuple(one) for one in group.filter("used")["tokens"]]
        left = {tuple(one) for one in group["tokens"]} - set(kept)
        assert len(set(kept)) == len(kept)
        assert not left or (len(kept) == 2 and max(map(len, kept)) <= min(map(len, left)))
    assert metrics["learnt_length"].drop_nulls().mean() == pytest.approx(used[:192]["tokens"].list.len().mean(), rel=0.01)


def test_a_model_that_is_never_right_is_told_so(policy: Input, problems: Input, tmp_path: Path) -> None:
    config = RejectionConfig(**(SETTINGS | {"least": 1.5, "draws": 2}))
    with pytest.raises(Problem, match=r"2 rounds of 6 x 6 answers gave too few that earn 1.5.*Ask easier questions"):
        work({"model": policy, "prompts": problems}, tmp_path, config, Compute(threads=1))


@pytest.mark.slow
def test_a_job_that_is_killed_at_any_step_ends_with_the_same_weights(policy: Input, problems: Input, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "killed"
    run(policy, problems, whole)
    for at in (2, 7):
        killer = threading.Thread(target=kill_behind, args=(out, at))
        killer.start()
        with pytest.raises(Problem, match="SIGKILL"):
            run(policy, problems, out)
        killer.join()
    run(policy, problems, out)
    assert outputs(out) == outputs(whole)


def run(policy: Input, problems: Input, out: Path) -> None:
    out.mkdir(exist_ok=True, parents=True)
    told = {"threads": "1", "checkpoint_seconds": "0", "checkpoint_steps": "1", "device": "cpu"}
    REJECTION.run({"model": policy, "prompts": problems, "compute": told}, out, RejectionConfig(**SETTINGS))
