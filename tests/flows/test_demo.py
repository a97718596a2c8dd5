"""The demo, very small: from the crawl to a package, the tables of before and after, several seeds, floors."""

import json
import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console

from flows.demo import DemoParameters, as_shipped
from flows.floors import Floor, hold
from flows.parameters import parameters
from stages.alignment.grpo import GrpoConfig
from stages.compute import Compute
from storage.artifact import resolve
from storage.lineage import ancestors
from storage.problem import Problem
from storage.store import Store
from tests.flows.conftest import Winnow

LITTLE: dict[str, Any] = {
    "steps": 60, "rows": 4, "matrix_rate": 0.012, "rate": 0.003, "embedding_rate": 0.003, "prompts": [], "dtype": "fp32", "validation_every": 0,
}  # fmt: skip
COUNTS = {
    "fact": 60, "unknown": 40, "multi_turn": 8, "arithmetic": 20, "python": 8, "search": 8, "idle": 8, "repeat": 8, "identity": 8,
}  # fmt: skip
TINY: dict[str, Any] = {
    "until": "release",
    "simulate": {"pages": 400},
    "tokenizer": {"size": 600},
    "pretrain": {"preset": "demo", "tokens": 20_000, "rows": 4, "prompts": [], "dtype": "fp32"},
    "world_conversations": {
        "counts": COUNTS,
        "tests": 4,
        "unknown_people": 20,
        "test_people": 10,
    },
    "sft_first": LITTLE,
    "sft": LITTLE,
    "probe": {"samples": 1, "facts": 10, "max_tokens": 8},
    "evaluate_before": {"questions": 1, "max_tokens": 8},
    "evaluate_first": {"questions": 1, "max_tokens": 8},
    "evaluate_chat": {"questions": 2, "max_tokens": 8},
    "evaluate_manners": {"questions": 1, "max_tokens": 8},
    "evaluate_aligned": {"questions": 1, "max_tokens": 8},
    "sft_manners": LITTLE | {"steps": 20},
    "rollouts": {"select": {"split": "train", "kinds": ["fact", "unknown"], "count": 60}, "samples": 4, "tokens": 24},
    "prefer": {"least": 0.01, "validation": 0.4},
    "reward_model": {"epochs": 1, "rows": 4},
    "dpo": {"steps": 4, "rows": 4, "kl_answers": 2, "kl_tokens": 8},
    "ppo": {"steps": 2, "prompts": 4, "tokens": 8},
    "arena": {"tokens": 8, "bootstrap": 10},
    "problems": {"steps": [1, 2], "train": 20, "test": 4},
    "grpo": {"steps": 2, "prompts": 2, "samples": 2, "tokens": 8},
    "rejection": {"steps": 1, "prompts": 2, "samples": 2, "learnt": 1, "least": 0.0, "tokens": 24},
    "evaluate_reasoning": {"questions": 2, "samples": 1, "tokens": 8},
    "importance": {"tokens": 2000},
    "quantize": {"types": ["F16", "Q8_0"]},
    "gate": {"tokens": 2000, "bounds": {"Q8_0": 9, "F16": 9}},
    "package": {"default": "Q8_0"},
    "compute": {"threads": 1},
}  # fmt: skip
BASE = ("pretrain", "evaluate_base")
CHAT = (
    "world_conversations", "evaluate_chat_base", "render_first", "layout_first", "sft_first", "evaluate_chat_first", "probe", "admissions",
    "render_world", "render_admissions", "layout", "sft", "evaluate_chat",
)  # fmt: skip
ALIGNED = (
    "manners", "sft_manners", "rollouts", "judge", "prefer", "render_preferences", "reward_model", "reference_logprobs", "dpo", "ppo", "arena",
    "problems", "grpo", "rejection", "evaluate_reasoning_dpo", "evaluate_reasoning_grpo", "evaluate_base_grpo", "evaluate_chat_grpo",
)  # fmt: skip
RELEASE = ("importance", "quantize", "gate", "package")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def whole(winnow: Winnow, folder: Path, lists: Path) -> "subprocess.CompletedProcess[str]":
    """The whole demo, once."""
    return winnow(*command(folder, lists))


def command(folder: Path, lists: Path, **settings: Any) -> list[str]:
    file = folder / "settings.json"
    file.write_text(json.dumps(TINY | {"lists": str(lists)} | settings))
    return ["run", "demo", "--config", str(file), "--store", str(folder / "store"), "--json"]


def artifacts(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    made: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])["artifacts"]
    return made


@pytest.mark.slow
def test_the_demo_goes_from_the_crawl_to_files_that_other_tools_read(
    whole: "subprocess.CompletedProcess[str]", folder: Path
) -> None:
    made = artifacts(whole)
    assert {*BASE, *CHAT, *ALIGNED, *RELEASE, "index", "recall", "scorecard_chat_model", "scorecard_alignment"} <= set(made)
    package = Path(made["package"]["path"])
    assert {"winnow-F16.gguf", "winnow-Q8_0.gguf", "Modelfile", "README.md", "SHA256SUMS"} <= {
        path.name for path in package.iterdir()
    }
    card = pl.read_parquet(Path(made["scorecard_alignment"]["path"]) / "scorecard.parquet")
    assert set(card["moment"]) == {"base", "chat", "sft", "dpo", "ppo", "rejection", "grpo"}
    assert {"bits_per_byte", "reasoning", "chat"} <= set(card["task"])
    store = Store(str(folder / "store"))
    told = {step: set(resolve(store, step).stats) for step in ("reward_model", "ppo", "arena", "evaluate_reasoning_dpo")}
    floors = {"accuracy"}, {"divergence"}, {"sft score", "ppo score", "dpo over sft won"}, {"all pass@1"}
    assert all(figures <= told[step] for step, figures in zip(told, floors, strict=True))
    way = {node.reference.partition("/")[0] for node in ancestors(store, resolve(store, "package"))}
    assert {"simulate", "corpus", "pretrain", "sft", "dpo", "grpo", "gate"} <= way  # from a GGUF back to the crawl
    assert "simulate/" in (package / "README.md").read_text()
    assert "A short chat" in whole.stderr
    assert "<html" in (folder / "store" / "reports" / f"grpo-{made['grpo']['key']}.html").read_text()


@pytest.mark.slow
def test_several_seeds_share_the_corpus_and_give_means(
    winnow: Winnow, whole: "subprocess.CompletedProcess[str]", folder: Path, lists: Path
) -> None:
    done = winnow(*command(folder, lists, until="aligned", seeds=2))
    made = artifacts(done)
    assert {*(f"{step}_seed1" for step in (*BASE, *CHAT, *ALIGNED))} <= set(made)
    assert made["corpus"]["cached"]
    assert all(made[step]["cached"] for step in (*BASE, *CHAT, *ALIGNED))
    assert made["sft"]["key"] != made["sft_seed1"]["key"]
    assert resolve(Store(str(folder / "store")), "sft").key == made["sft"]["key"]  # the first seed's, after its second training
    assert resolve(Store(str(folder / "store")), "sft_seed1").key == made["sft_seed1"]["key"]
    card = pl.read_parquet(Path(made["scorecard_chat_model"]["path"]) / "scorecard.parquet")
    assert set(card["moment"]) == {"base", "first", "chat"}
    assert set(card.filter(pl.col("part") == "known")["seeds"]) == {2}
    assert "Means over 2 seeds" in done.stderr


def test_a_floor_or_a_ceiling_that_is_missed_fails_with_what_was_reached() -> None:
    floors = (Floor("known", "facts", least=0.6), Floor("refused", "refusals", most=0.1))
    console = Console(quiet=True)
    hold(floors, {"known": 0.6, "refused": 0.1}, console)
    with pytest.raises(Problem, match=r"facts: 0\.590, expected at least 0\.6; refusals: 0\.110, expected at most 0\.1"):
        hold(floors, {"known": 0.59, "refused": 0.11}, console)
    with pytest.raises(Problem, match="facts: nan"):
        hold(floors, {"known": float("nan"), "refused": 0.0}, console)


def test_floors_are_for_the_settings_as_shipped_wherever_it_runs_and_however_far() -> None:
    assert as_shipped(DemoParameters(until="base", seeds=3, longer=True, store="elsewhere", compute=Compute(threads=1)))
    assert not as_shipped(DemoParameters(grpo=GrpoConfig(steps=3)))


def test_a_section_given_in_part_keeps_the_demos_own_values_of_the_rest() -> None:
    given = parameters(DemoParameters, None, ["sft.rows=8", "rollouts.select.count=5", "pretrain.steps=7"], {})
    own = DemoParameters()
    assert given.sft == own.sft.model_copy(update={"rows": 8})
    assert given.rollouts.select == own.rollouts.select.model_copy(update={"count": 5})
    assert given.rollouts.samples == own.rollouts.samples
    assert given.pretrain.plan(row_length=256).steps == 7, "the demo's own budget of tokens is passed over"
    with pytest.raises(Problem, match=r"sft\.row; did you mean rows"):
        parameters(DemoParameters, None, ["sft.row=8"], {})
