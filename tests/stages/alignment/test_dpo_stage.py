"""DPO and IPO move a model towards the chosen answers; where they begin is known, and a killed job ends as one that was not."""

import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from pydantic import ValidationError

from models.formats.peft import load_adapter
from models.formats.pretrained import load_model
from models.transformer.lora import merge
from models.transformer.score import Request, score
from models.transformer.shape import Experts
from stages.alignment.comparisons import comparisons
from stages.alignment.dpo import CURVE, DPO, DpoConfig
from stages.alignment.dpo_training import referred
from stages.alignment.reference_logprobs import LOGPROBS
from stages.alignment.reward_model import REWARD_MODEL, RewardModelConfig
from stages.stage import Input
from stages.tokens.vocabulary import vocabulary
from storage.problem import Problem
from tests.stages.alignment import pair_worlds
from tests.stages.killed import outputs
from tests.stages.posttraining import sft_worlds
from tests.stages.posttraining.test_sft import kill_behind

SETTINGS: dict[str, Any] = {
    "steps": 12, "rows": 8, "rate": 2e-3, "embedding_rate": 2e-3, "validation_every": 6, "dtype": "fp32", "kl_answers": 6, "kl_tokens": 12,
}  # fmt: skip


@dataclass(frozen=True)
class World:
    model: Input
    preferences: Input
    reference: Input


@pytest.fixture(scope="module")
def world(vocabulary_folder: Path, policy: Input, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("dpo")
    preferences = pair_worlds.rendered(folder / "rendered", sft_worlds.listed(vocabulary_folder))
    return World(policy, preferences, pair_worlds.reference(folder / "reference", preferences, policy))


def trained(world: World, out: Path, compute: dict[str, str] | None = None, **settings: Any) -> dict[str, Any]:
    out.mkdir(exist_ok=True, parents=True)
    given: dict[str, Any] = {"preferences": world.preferences, "reference": world.reference, "model": world.model}
    told = {"compute": pair_worlds.COMPUTE | (compute or {})}
    found: dict[str, Any] = DPO.run(given | told, out, DpoConfig(**(SETTINGS | settings)))
    return found


def test_the_model_comes_to_prefer_what_was_chosen(world: World, tmp_path: Path) -> None:
    out = tmp_path / "out"
    figures = trained(world, out, chosen_nll=0.1)
    curve = pl.read_parquet(out / "metrics.parquet")
    assert dict(curve.schema) == CURVE
    nll = curve["chosen_nll"][1]
    assert curve["loss"][1] == pytest.approx(math.log(2) + 0.1 * nll, rel=1e-4)  # at the reference
    assert curve["reward_margin"][1] == pytest.approx(0, abs=1e-4)
    assert curve["validation_margin"][12] > 0.3
    assert figures["validation_accuracy"] == 1.0
    assert curve["kl"][0] == pytest.approx(0, abs=1e-4)
    assert figures["kl"] == curve["kl"][12] != 0
    before, after = load_model(world.model.folder), load_model(out)
    rows = pl.read_parquet(world.preferences.shards[0]).filter(pl.col("split") == "validation")
    gained = []
    for side in ("chosen", "rejected"):
        asked = [Request(*one) for one in rows.select("prompt_tokens", f"{side}_tokens").iter_rows()]
        gained.append([new.total - old.total for new, old in zip(score(after, asked), score(before, asked), strict=True)])
    margins = [0.1 * (chosen - rejected) for chosen, rejected in zip(*gained, strict=True)]
    assert sum(margins) / len(margins) == pytest.approx(figures["validation_margin"], rel=1e-3)


def test_the_reference_holds_what_another_way_of_scoring_holds(world: World) -> None:
    found = pl.read_parquet(world.reference.folder / "preferences-00000.parquet")
    assert dict(found.schema) == LOGPROBS
    rows = pl.read_parquet(world.preferences.shards[0])
    assert found["id"].to_list() == rows["id"].to_list()
    for side in ("chosen", "rejected"):
        asked = [Request(*one) for one in rows.select("prompt_tokens", f"{side}_tokens").iter_rows()]
        expected = [one.total for one in score(load_model(world.model.folder), asked)]
        assert found[f"{side}_logprob"].to_list() == pytest.approx(expected, rel=1e-4)
        assert found[f"{side}_count"].to_list() == rows[f"{side}_tokens"].list.len().to_list()


def test_a_reference_of_other_pairs_is_refused(world: World, tmp_path: Path) -> None:
    known = vocabulary(world.model)
    longer = pair_worlds.preferences(count=60)
    vocabulary_of = Input(world.model.folder, world.model.names)
    given = comparisons(pair_worlds.rendered(tmp_path / "rendered", vocabulary_of, longer), known, 96, ranked=False)
    with pytest.raises(Problem, match=r"no log-probabilities of the pair train-\d+ Indeed"):
        referred(world.reference, given)
    with pytest.raises(Problem, match=r"holds no reference.json"):
        referred(world.preferences, given)


@pytest.mark.slow
def test_ipo_comes_to_its_target_and_a_normalised_margin_is_by_token(world: World, tmp_path: Path) -> None:
    ipo = trained(world, tmp_path / "ipo", loss="ipo", beta=0.2, steps=60)
    assert ipo["validation_margin"] / 0.2 == pytest.approx(1 / (2 * 0.2), rel=0.25)
    assert pl.read_parquet(tmp_path / "ipo" / "metrics.parquet")["loss"][1] == pytest.approx(6.25, rel=1e-3)
    by_token = trained(world, tmp_path / "by_token", loss="ipo", beta=2.0, length_normalised=True, steps=60)
    assert by_token["validation_margin"] / 2.0 == pytest.approx(1 / (2 * 2.0), rel=0.25)


@pytest.mark.slow
def test_a_step_is_the_same_however_it_is_cut_and_shared(world: World, tmp_path: Path) -> None:
    for name, compute in (("whole", {"micro_rows": "100"}), ("cut", {"micro_rows": "2"}), ("shared", {"processes": "2"})):
        trained(world, tmp_path / name, compute, steps=3, chosen_nll=0.5, label_smoothing=0.1)
    whole, cut, shared = (pl.read_parquet(tmp_path / name / "metrics.parquet") for name in ("whole", "cut", "shared"))
    for name in ("loss", "grad_norm", "accuracy", "reward_margin", "chosen_nll", "validation_loss", "pairs"):
        for other in (cut, shared):
            assert other[name].drop_nulls().to_list() == pytest.approx(whole[name].drop_nulls().to_list(), rel=1e-3, abs=1e-4)


@pytest.mark.slow
def test_adapters_alone_learn_and_are_merged_and_kept_in_the_format_of_peft(world: World, tmp_path: Path) -> None:
    out = tmp_path / "out"
    figures = trained(world, out, lora={"rank": 4, "targets": ["q", "v", "up"]}, optimizer=None, rate=0.02)
    assert figures["validation_accuracy"] == 1.0
    base = load_model(world.model.folder)
    load_adapter(base, out / "adapter")
    merge(base)
    learnt = load_model(out).state_dict()
    for name, weight in base.state_dict().items():
        torch.testing.assert_close(learnt[name], weight, atol=0, rtol=0)


@pytest.mark.slow
def test_a_mixture_of_experts_learns_from_pairs_too(vocabulary_folder: Path, world: World, tmp_path: Path) -> None:
    experts = Experts(count=4, active=2, hidden=32, balance=0.01)
    model = sft_worlds.model(tmp_path / "model", sft_worlds.listed(vocabulary_folder), experts=experts)
    mixed = World(model, world.preferences, pair_worlds.reference(tmp_path / "reference", world.preferences, model))
    assert trained(mixed, tmp_path / "dpo")["validation_accuracy"] == 1.0
    (tmp_path / "reward").mkdir()
    given = {"preferences": world.preferences, "model": model, "compute": pair_worlds.COMPUTE}
    config = RewardModelConfig(steps=16, rows=8, rate=5e-3, dtype="fp32")
    assert REWARD_MODEL.run(given, tmp_path / "reward", config)["accuracy"] == 1.0


@pytest.mark.slow
def test_a_job_that_is_killed_at_any_moment_ends_with_the_same_weights(world: World, tmp_path: Path) -> None:
    figures = trained(world, tmp_path / "whole", steps=60)
    out = tmp_path / "killed"
    for at in (3, 22, 40):
        killer = threading.Thread(target=kill_behind, args=(out, at))
        killer.start()
        with pytest.raises(Problem, match="SIGKILL"):
            trained(world, out, {"checkpoint_steps": "2"}, steps=60)
        killer.join()
    assert trained(world, out, {"checkpoint_steps": "2"}, steps=60) == figures
    assert outputs(out) == outputs(tmp_path / "whole")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"loss": "ipo", "label_smoothing": 0.1}, "labels are smoothed in dpo alone"),
        ({"label_smoothing": 0.5}, "less than 0.5"),
        ({"beta": 0}, "greater than 0"),
    ],
)
def test_settings_that_contradict_are_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        DpoConfig(**settings)
