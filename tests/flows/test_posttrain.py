"""From conversations in files to a chat model by the flow: artifacts, what is cached, a student of a teacher, what is refused."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from storage.artifact import resolve
from storage.lineage import provenance
from storage.store import Store
from tests.flows.conftest import Winnow
from tests.stages.posttraining import sft_worlds

SMALL: dict[str, Any] = {
    "import_conversations": {"validation": 0.1},
    "sft": {"steps": 6, "rows": 2, "validation_every": 3, "prompts": ["How much is 4 + 0?"], "sample_tokens": 8, "dtype": "fp32"},
    "distill": {"steps": 4, "rows": 2, "prompts": [], "dtype": "fp32"},
    "compute": {"threads": 1},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model, conversations in two shapes."""
    folder = tmp_path_factory.mktemp("posttrain")
    sft_worlds.model(folder / "base", sft_worlds.tokenizer(folder / "tokenizer"))
    alpaca = [{"instruction": f"How much is {one} + 1?", "output": f"It is {one + 1}."} for one in range(60)]
    (folder / "sums.json").write_text(json.dumps(alpaca))
    turns = [{"role": "user", "content": "Be brief."}, {"role": "assistant", "content": "Indeed."}] * 20
    lines = [{"messages": turns}, {"messages": [turns[0], {"role": "assistant", "content": "No."}]}, {"messages": turns[:1]}]
    (folder / "more.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def command(folder: Path, settings: dict[str, Any], name: str) -> list[str]:
    file = folder / f"{name}.json"
    file.write_text(json.dumps(SMALL | {"model": str(folder / "base")} | settings))
    return ["run", "posttrain", "--config", str(file), "--store", str(folder / "store"), "--json"]


@pytest.fixture(scope="module")
def made(winnow: Winnow, folder: Path) -> dict[str, Any]:
    done = winnow(*command(folder, {"conversations": {"sums": str(folder / "sums.json")}}, "first"))
    assert "winnow chat sft/" in done.stderr
    artifacts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])["artifacts"]
    return artifacts


def test_the_flow_ends_with_a_model_that_was_tuned_on_the_conversations(folder: Path, made: dict[str, Any]) -> None:
    assert list(made) == ["import_conversations", "render", "layout", "sft"]
    assert made["import_conversations"]["kept"] == 60
    out = Path(made["sft"]["path"])
    metrics = pl.read_parquet(out / "metrics.parquet")
    assert metrics["validation_loss"][6] < metrics["validation_loss"][0]
    assert (out / "chat_template.jinja").exists()
    laid = json.loads((Path(made["layout"]["path"]) / "packing.json").read_text())
    assert laid["row_length"] == sft_worlds.T  # the model's context


def test_files_and_artifacts_of_several_names_go_on_from_an_artifact_and_what_does_not_fit_is_counted(
    winnow: Winnow, folder: Path, made: dict[str, Any]
) -> None:
    both = {
        "model": "sft@latest",
        "conversations": {"sums": made["import_conversations"]["key"], "more": str(folder / "more.jsonl")},
        "render": {"too_long": "drop"},
        "sft": SMALL["sft"] | {"lora": {"rank": 2}, "mixture": {"sums": 3, "more": 1}},
    }
    artifacts = json.loads(winnow(*command(folder, both, "second")).stdout.splitlines()[-1])["artifacts"]
    assert list(artifacts) == ["import_conversations_more", "render_sums", "render_more", "layout", "sft"]
    assert (artifacts["render_more"]["rows"], artifacts["render_more"]["kept"]) == (2, 1)
    assert (Path(artifacts["sft"]["path"]) / "adapter" / "adapter_model.safetensors").exists()
    nodes = provenance(Store(str(folder / "store")))
    assert any(one.startswith("sft/") for one in nodes[resolve(Store(str(folder / "store")), "sft").reference].inputs.values())


def test_a_second_run_does_nothing(winnow: Winnow, folder: Path, made: dict[str, Any]) -> None:
    again = winnow(*command(folder, {"conversations": {"sums": str(folder / "sums.json")}, "compute": {"threads": 2}}, "again"))
    artifacts = json.loads(again.stdout.splitlines()[-1])["artifacts"]
    assert all(one["cached"] for one in artifacts.values())
    assert artifacts["sft"]["key"] == made["sft"]["key"]


def test_with_a_teacher_the_model_becomes_its_student(winnow: Winnow, folder: Path, made: dict[str, Any]) -> None:
    taught = {"conversations": {"sums": str(folder / "sums.json")}, "teacher": made["sft"]["path"]}
    artifacts = json.loads(winnow(*command(folder, taught, "taught")).stdout.splitlines()[-1])["artifacts"]
    metrics = pl.read_parquet(f"{artifacts['distill']['path']}/metrics.parquet")
    assert metrics["validation_divergence"][4] < metrics["validation_divergence"][0]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"conversations": {"sums": "nowhere.json"}}, "there is no file nowhere.json"),
        ({"conversations": {"sums": "nothing@latest"}}, "no artifact 'nothing@latest'"),
        ({"model": "import_conversations@latest"}, "holds no tokenizer"),
        ({"layout": {"row_length": 512}}, "give row_length instead"),
        ({"row_length": 256}, "the model's context is 96"),
    ],
)
def test_what_cannot_be_is_refused_in_one_message(
    winnow: Winnow, folder: Path, made: dict[str, Any], change: dict[str, Any], told: str
) -> None:
    done = winnow(*command(folder, {"conversations": {"sums": str(folder / "sums.json")}} | change, "wrong"), code=2)
    message = done.stderr[done.stderr.rindex("winnow: ") :]
    assert told in message
    assert "Traceback" not in message
