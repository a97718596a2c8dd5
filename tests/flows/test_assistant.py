"""The demo as far as its chat model, very small: the steps and their names, the table of before and after, several seeds."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console

from flows.floors import CHAT, Floor, hold
from storage.artifact import resolve
from storage.lineage import provenance
from storage.problem import Problem
from storage.store import Store
from tests.flows.conftest import Winnow

LITTLE: dict[str, Any] = {"steps": 3, "rows": 2, "prompts": ["Who are you?"], "sample_tokens": 8, "dtype": "fp32"}
TINY: dict[str, Any] = {
    "seeds": 2,
    "simulate": {"pages": 400},
    "tokenizer": {"size": 600},
    "pretrain": {"preset": "demo", "tokens": 10_000, "rows": 4, "prompts": [], "dtype": "fp32"},
    "world_conversations": {
        "counts": dict.fromkeys(
            ("fact", "multi_turn", "unknown", "arithmetic", "python", "search", "idle", "repeat", "identity"), 8
        ),
        "tests": 2,
        "unknown_people": 10,
        "test_people": 10,
    },
    "sft_first": LITTLE,
    "sft": LITTLE,
    "probe": {"samples": 1, "facts": 10, "max_tokens": 8},
    "evaluate_before": {"questions": 1, "max_tokens": 8},
    "evaluate_chat": {"questions": 2, "max_tokens": 8},
    "compute": {"threads": 1},
}


@pytest.mark.slow
def test_the_demo_goes_on_to_a_chat_model_for_each_seed_and_compares_before_and_after(
    winnow: Winnow, tmp_path: Path, lists: Path
) -> None:
    file = tmp_path / "tiny.json"
    file.write_text(json.dumps(TINY | {"lists": str(lists)}))
    store = Store(str(tmp_path / "store"))
    command = ("run", "demo", "--config", str(file), "--store", str(tmp_path / "store"), "--json")
    done = winnow(*command)
    made = json.loads(done.stdout.splitlines()[-1])["artifacts"]
    steps = (
        "pretrain", "evaluate_base", "world_conversations", "evaluate_chat_base", "render_first", "layout_first", "sft_first",
        "evaluate_chat_first", "probe", "admissions", "render_world", "render_admissions", "layout", "sft", "evaluate_chat",
    )  # fmt: skip
    assert {*steps, *(f"{step}_seed1" for step in steps), "index", "recall", "scorecard"} <= set(made)
    assert made["sft"]["key"] != made["sft_seed1"]["key"]
    assert resolve(store, "sft").key == made["sft"]["key"]  # the first seed's, after its second training
    card = pl.read_parquet(Path(made["scorecard"]["path"]) / "scorecard.parquet")
    assert set(card["moment"]) == {"base", "first", "chat"}
    assert card["seeds"].to_list() == [2] * card.height
    assert {floor.name for floor in CHAT} <= {
        f"{part} {metric}" for part, metric in card.select("part", "metric").iter_rows()
    } | {
        "tool needed right after call"  # where no tool was called, nothing is measured
    }
    assert "Means over 2 seeds" in done.stderr
    ancestors = provenance(store)[resolve(store, "sft").reference].inputs.values()
    assert any(one.startswith("sft/") for one in ancestors)  # the second training goes on from the first
    again = json.loads(winnow(*command).stdout.splitlines()[-1])["artifacts"]
    assert all(artifact["cached"] for artifact in again.values())


def test_a_floor_or_a_ceiling_that_is_missed_fails_with_what_was_reached() -> None:
    floors = (Floor("known", "facts", least=0.6), Floor("refused", "refusals", most=0.1))
    console = Console(quiet=True)
    hold(floors, {"known": 0.6, "refused": 0.1}, console)
    with pytest.raises(Problem, match=r"facts: 0\.590, expected at least 0\.6; refusals: 0\.110, expected at most 0\.1"):
        hold(floors, {"known": 0.59, "refused": 0.11}, console)
    with pytest.raises(Problem, match="facts: nan"):
        hold(floors, {"known": float("nan"), "refused": 0.0}, console)
