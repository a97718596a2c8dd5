"""A reward model learns to tell answers apart, says how well, is loaded and used, and a killed job ends as one that was not."""

import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from models.alignment.preference import Answer
from models.alignment.reward import load_reward_model, score
from models.tokenizer.load import load
from stages.alignment.reward_model import CALIBRATION, CURVE, HELD_OUT, REWARD_MODEL, RewardModelConfig
from stages.stage import Input
from storage.problem import Problem
from tests.stages.alignment import pair_worlds
from tests.stages.killed import outputs
from tests.stages.posttraining import sft_worlds
from tests.stages.posttraining.test_sft import kill_behind

SETTINGS: dict[str, Any] = {"steps": 16, "rows": 8, "rate": 5e-3, "embedding_rate": 5e-3, "validation_every": 8, "dtype": "fp32"}


@dataclass(frozen=True)
class World:
    vocabulary: Input
    model: Input
    preferences: Input


@pytest.fixture(scope="module")
def world(vocabulary_folder: Path, policy: Input, tmp_path_factory: pytest.TempPathFactory) -> World:
    vocabulary = sft_worlds.listed(vocabulary_folder)
    return World(vocabulary, policy, pair_worlds.rendered(tmp_path_factory.mktemp("pairs") / "rendered", vocabulary))


def trained(world: World, out: Path, compute: dict[str, str] | None = None, **settings: Any) -> dict[str, Any]:
    out.mkdir(exist_ok=True, parents=True)
    given = {"preferences": world.preferences, "model": world.model, "compute": pair_worlds.COMPUTE | (compute or {})}
    found: dict[str, Any] = REWARD_MODEL.run(given, out, RewardModelConfig(**(SETTINGS | settings)))
    return found


def test_it_learns_which_answers_are_better_and_scores_them_from_its_folder(world: World, tmp_path: Path) -> None:
    out = tmp_path / "out"
    figures = trained(world, out)
    curve = pl.read_parquet(out / "metrics.parquet")
    assert dict(curve.schema) == CURVE
    assert curve["validation_loss"][0] == pytest.approx(0.6931, abs=1e-3)  # the head begins as zero
    assert curve["validation_loss"][16] < 0.4
    assert figures["accuracy"] == 1.0
    assert figures["length_correlation"] < -0.5
    held_out = pl.read_parquet(out / "held_out.parquet")
    assert (dict(held_out.schema), held_out.height) == (HELD_OUT, 12)
    table = pl.read_parquet(out / "calibration.parquet")
    assert (dict(table.schema), int(table["pairs"].sum())) == (CALIBRATION, 12)
    assert "1.000 [0.758, 1.000] of 12 pairs" in (out / "report.md").read_text()
    rows = pl.read_parquet(world.preferences.shards[0]).filter(pl.col("split") == "validation")
    given = [Answer(*one) for one in rows.select("prompt_tokens", "chosen_tokens").iter_rows()]
    assert score(load_reward_model(out), given) == pytest.approx(held_out["chosen_score"].to_list(), abs=1e-4)
    assert load(out).size == load(world.model.folder).size


@pytest.mark.slow
def test_a_step_is_the_same_however_it_is_cut_and_shared(world: World, tmp_path: Path) -> None:
    for name, compute in (("whole", {"micro_rows": "100"}), ("cut", {"micro_rows": "1"}), ("shared", {"processes": "2"})):
        trained(world, tmp_path / name, compute, steps=3)
    whole, cut, shared = (pl.read_parquet(tmp_path / name / "metrics.parquet") for name in ("whole", "cut", "shared"))
    for name in ("loss", "grad_norm", "accuracy", "margin", "validation_loss", "validation_accuracy", "comparisons"):
        for other in (cut, shared):
            assert other[name].drop_nulls().to_list() == pytest.approx(whole[name].drop_nulls().to_list(), rel=1e-4, abs=1e-6)


@pytest.mark.slow
def test_a_pairs_own_margin_is_asked_for_as_often_as_it_is_told(world: World, tmp_path: Path) -> None:
    trained(world, tmp_path / "out", margin=2.0, steps=1)
    curve = pl.read_parquet(tmp_path / "out" / "metrics.parquet")
    assert curve["loss"][1] == pytest.approx(math.log(1 + math.exp(2)), rel=1e-5)  # all scores are zero, all margins 1
    with pytest.raises(Problem, match="another length in each step"):
        trained(world, tmp_path / "compiled", {"compile": "true"}, steps=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["full", "lora"])
def test_a_job_that_is_killed_at_any_moment_ends_with_the_same_weights(world: World, tmp_path: Path, kind: str) -> None:
    settings: dict[str, Any] = {"steps": 60} | ({} if kind == "full" else {"lora": {"rank": 4}, "rate": 0.02})
    figures = trained(world, tmp_path / "whole", **settings)
    assert figures["accuracy"] == 1.0
    out = tmp_path / "killed"
    for at in (3, 22, 40):
        killer = threading.Thread(target=kill_behind, args=(out, at))
        killer.start()
        with pytest.raises(Problem, match="SIGKILL"):
            trained(world, out, {"checkpoint_steps": "2"}, **settings)
        killer.join()
    assert trained(world, out, {"checkpoint_steps": "2"}, **settings) == figures
    assert outputs(out) == outputs(tmp_path / "whole")


@pytest.mark.slow
def test_without_a_held_out_pair_there_is_nothing_to_measure_it_by(world: World, tmp_path: Path) -> None:
    rows = pair_worlds.preferences(held_out=0)
    given = World(world.vocabulary, world.model, pair_worlds.rendered(tmp_path / "rendered", world.vocabulary, rows))
    with pytest.raises(Problem, match="found no held-out pair"):
        trained(given, tmp_path / "out")


def test_settings_that_contradict_are_refused() -> None:
    with pytest.raises(ValidationError, match="adapters are trained with adamw"):
        RewardModelConfig(lora={"rank": 4}, optimizer="muon")  # type: ignore[arg-type]
