"""From a chat model to an aligned one by the flow: preferences in a file, problems, what is refused."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.flows.conftest import Winnow
from tests.stages.posttraining import sft_worlds

FEW: dict[str, Any] = {
    "dpo": {"epochs": 1, "rows": 4, "kl_answers": 2, "kl_tokens": 8, "dtype": "fp32"},
    "reward_model": {"epochs": 1, "rows": 4},
    "make_problems": {"steps": [1], "train": 8, "test": 4},
    "ppo": {"steps": 1, "prompts": 4, "tokens": 8, "passes": 1, "parts": 1},
    "rejection": {"steps": 1, "prompts": 2, "samples": 2, "learnt": 1, "least": 0.0, "tokens": 8},
    "grpo": {"steps": 2, "prompts": 2, "samples": 2, "tokens": 8},
    "evaluate_reasoning": {"samples": 1, "tokens": 8},
    "compute": {"threads": 1},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that chats, comparisons in a file."""
    folder = tmp_path_factory.mktemp("align")
    sft_worlds.model(folder / "model", sft_worlds.tokenizer(folder / "tokenizer"))
    rows = [{"prompt": f"How much is {one} + 1?", "chosen": f"It is {one + 1}.", "rejected": "No."} for one in range(40)]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def command(folder: Path, **settings: Any) -> list[str]:
    file = folder / "settings.json"
    file.write_text(json.dumps(FEW | {"model": str(folder / "model"), "preferences": str(folder / "pairs.jsonl")} | settings))
    return ["run", "align", "--config", str(file), "--store", str(folder / "store"), "--json"]


def artifacts(text: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(text.splitlines()[-1])["artifacts"]
    return made


def test_preferences_in_a_file_move_a_model_and_make_one_that_scores(winnow: Winnow, folder: Path) -> None:
    done = winnow(*command(folder))
    made = artifacts(done.stdout)
    assert list(made) == ["import_preferences", "render_preferences", "reference_logprobs", "dpo"]
    assert made["import_preferences"]["kept"] == 40
    recipe = json.loads((Path(made["reference_logprobs"]["path"]) / "recipe.json").read_text())
    assert recipe["config"]["dtype"] == FEW["dpo"]["dtype"]
    assert pl.read_parquet(Path(made["dpo"]["path"]) / "metrics.parquet")["validation_margin"][0] == pytest.approx(0, abs=1e-5)
    assert (Path(made["dpo"]["path"]) / "chat_template.jinja").exists()
    assert "winnow chat dpo/" in done.stderr
    assert "dpo: validation accuracy " in done.stderr

    scoring = winnow(*command(folder, method="reward_model"))
    again = artifacts(scoring.stdout)
    assert again["render_preferences"]["cached"]
    assert (Path(again["reward_model"]["path"]) / "reward_head.safetensors").exists()
    assert "winnow chat" not in scoring.stderr

    chats = [
        {"messages": [{"role": "user", "content": f"{n} + 1?"}, {"role": "assistant", "content": "It is."}]} for n in range(4)
    ]
    chats += [{"prompt": f"{n} + 1?"} for n in range(4, 8)]
    (folder / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chats))
    done = winnow(*command(folder, method="ppo", prompts=str(folder / "chats.jsonl")))
    assert "ppo: reward first " in done.stderr
    reinforced = artifacts(done.stdout)
    assert list(reinforced) == ["import_conversations", "ppo"]
    assert reinforced["import_conversations"]["kept"] == 8
    drawn = pl.read_parquet(Path(reinforced["ppo"]["path"]) / "rollouts-*.parquet")
    assert drawn.height == 4
    assert drawn["prompt"].str.ends_with(" + 1?").all()


def test_problems_are_made_asked_before_and_after_and_what_was_drawn_can_be_read(winnow: Winnow, folder: Path) -> None:
    done = winnow(*command(folder, method="grpo"))
    assert "solves none of the problems" in done.stderr
    made = artifacts(done.stdout)
    assert list(made) == ["problems", "evaluate_reasoning_before", "grpo", "evaluate_reasoning", "scorecard"]
    card = pl.read_parquet(Path(made["scorecard"]["path"]) / "scorecard.parquet")
    assert set(card["moment"]) == {"before", "after"}
    drawn = pl.read_parquet(Path(made["grpo"]["path"]) / "rollouts-*.parquet")
    assert drawn.height == 2 * 2 * 2
    curve = pl.read_parquet(Path(made["grpo"]["path"]) / "metrics.parquet")
    assert {"reward", "kl", "entropy", "length", "clip_fraction", "accuracy"} <= set(curve.columns)

    beside = artifacts(winnow(*command(folder, method="rejection")).stdout)
    assert list(beside) == ["problems", "evaluate_reasoning_before", "rejection", "evaluate_reasoning", "scorecard"]
    assert beside["evaluate_reasoning_before"]["cached"]


def test_problems_without_tests_are_refused_before_anything_is_drawn(winnow: Winnow, folder: Path) -> None:
    few = folder / "few_train.jsonl"
    few.write_text('{"question": "How much is 4 + 1?", "answer": 5}\n')
    done = winnow(*command(folder, method="grpo", problems=str(few)), code=2)
    assert "few_train.jsonl has none for test" in done.stderr


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"preferences": "none.jsonl"}, "preferences: there is no file none.jsonl"),
        ({"method": "grpo", "problems": "none.jsonl"}, "problems: there is no file none.jsonl"),
        ({"method": "ppo", "prompts": "none.jsonl"}, "prompts: there is no file none.jsonl"),
        ({"preferences": "judge@latest"}, "the parameter preferences is missing or wrong: no artifact 'judge@latest'"),
        ({"method": "ppo", "prompts": "judge@latest"}, "prompts: Of ppo: what is asked, as far as the user's last turn"),
        ({"method": "magic"}, "magic"),
        ({"row_length": -1}, "the parameter row_length is -1"),
        ({"row_length": 5}, "row_length is 5; expected 8 tokens or more"),
        ({"row_length": 8}, "no pair is left to learn from: 40 were dropped"),
        ({"dpo": {"loss": "ipo", "label_smoothing": 0.2}}, "the parameter dpo: loss ipo"),
    ],
)
def test_what_is_not_there_is_refused(winnow: Winnow, folder: Path, settings: dict[str, Any], says: str) -> None:
    done = winnow(*command(folder, **settings), code=2)
    assert says in done.stderr
