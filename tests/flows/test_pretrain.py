"""From a corpus to a base model by the flow: artifacts, lineage back to the crawl, what is cached, what is refused, what a kill costs."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from storage.artifact import resolve
from storage.lineage import provenance
from storage.store import Store
from tests.flows.conftest import Winnow

SMALL = {
    "tokenizer": {"size": 400},
    "tokenize": {"validation": 0.1},
    "pack": {"row_length": 64},
    "pretrain": {
        "shape": {"width": 32, "layers": 2, "heads": 2, "kv_heads": 1, "head_width": 16, "hidden": 64},
        "steps": 12,
        "rows": 4,
        "validation_every": 6,
        "samples_every": 6,
        "prompts": ["The "],
    },
    "evaluate_base": {"memorisation": {"pages": 4}, "bits_per_byte": {"documents": 4}},
    "compute": {"threads": 1},
}


@pytest.fixture(scope="module")
def store(corpus_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(corpus_store, tmp_path_factory.mktemp("pretrain") / "store"))


def command(store: Path, settings: dict[str, Any], *more: str) -> list[str]:
    file = store.parent / f"settings-{len(os.listdir(store.parent))}.json"
    file.write_text(json.dumps(settings))
    return ["run", "pretrain", "--config", str(file), "--store", str(store), *more]


@pytest.fixture(scope="module")
def made(winnow: Winnow, store: Path) -> dict[str, Any]:
    artifacts: dict[str, Any] = json.loads(winnow(*command(store, SMALL, "--json")).stdout.splitlines()[-1])["artifacts"]
    return artifacts


def test_the_flow_ends_with_a_model_that_others_read_and_that_samples(winnow: Winnow, store: Path, made: dict[str, Any]) -> None:
    assert list(made) == ["tokenizer", "tokenize", "pack", "pretrain", "evaluate_base"]
    folder = Path(made["pretrain"]["path"])
    metrics = pl.read_parquet(folder / "metrics.parquet")
    assert metrics["step"].to_list() == list(range(13))
    assert metrics["validation_loss"].is_not_null().sum() == 3
    assert (folder / "model.safetensors").exists()
    said = winnow("sample", "pretrain@latest", "The ", "--max-tokens", "5", "--store", str(store))
    assert said.stdout.strip()


def test_a_model_knows_what_it_descends_from_back_to_the_crawl(store: Path, made: dict[str, Any]) -> None:
    opened = Store(str(store))
    nodes = provenance(opened)
    todo, seen = [resolve(opened, "pretrain").reference], set()
    while todo:
        reference = todo.pop()
        if reference not in seen and reference in nodes:
            seen.add(reference)
            todo += nodes[reference].inputs.values()
    assert {"pack", "tokenize", "tokenizer", "corpus", "extract", "records", "sources"} <= {one.partition("/")[0] for one in seen}


def test_the_second_run_does_nothing_and_other_threads_make_no_other_artifact(
    winnow: Winnow, store: Path, made: dict[str, Any]
) -> None:
    again = winnow(*command(store, SMALL | {"compute": {"threads": 2}}, "--json"))
    artifacts = json.loads(again.stdout.splitlines()[-1])["artifacts"]
    assert all(one["cached"] for one in artifacts.values())
    assert {name: one["key"] for name, one in artifacts.items()} == {name: one["key"] for name, one in made.items()}


def test_a_model_is_trained_further_from_another(winnow: Winnow, store: Path, made: dict[str, Any]) -> None:
    further = SMALL | {"model": "pretrain@latest", "pretrain": {"steps": 2, "rows": 4, "prompts": []}}
    artifacts = json.loads(winnow(*command(store, further, "--json")).stdout.splitlines()[-1])["artifacts"]
    assert artifacts["pretrain"]["key"] != made["pretrain"]["key"]
    first = pl.read_parquet(f"{artifacts['pretrain']['path']}/metrics.parquet")["validation_loss"][0]
    last = pl.read_parquet(f"{made['pretrain']['path']}/metrics.parquet")["validation_loss"][-1]
    assert first == pytest.approx(last, rel=1e-3)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"tokenizer": {"size": 100_000}}, "tokenizer"),
        ({"pack": {"row_length": 1_000_000}}, "pack"),
        ({"model": "corpus@latest"}, "holds no tokenizer"),
        ({"corpora": {"web": "nothing@latest"}}, "no artifact 'nothing@latest'"),
        ({"corpora": {"tokenizer": "corpus@latest"}}, "a corpus is called 'tokenizer'"),
        ({"pretrain": {"preset": "huge"}}, "no preset is called 'huge'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_message(
    winnow: Winnow, store: Path, made: dict[str, Any], change: dict[str, Any], told: str
) -> None:
    done = winnow(*command(store, SMALL | change), code=2)
    message = done.stderr[done.stderr.rindex("winnow: ") :]
    assert told in message
    assert "Traceback" not in message


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_and_ends_with_the_same_weights(winnow: Winnow, store: Path, made: dict[str, Any]) -> None:
    settings = SMALL | {"pretrain": SMALL["pretrain"] | {"steps": 400, "seed": 5}}
    fresh = Path(shutil.copytree(store, store.parent / "fresh"))
    straight = json.loads(winnow(*command(fresh, settings, "--json")).stdout.splitlines()[-1])["artifacts"]["pretrain"]
    environment = winnow.environment  # type: ignore[attr-defined]
    killed = settings | {"compute": {"threads": 1, "checkpoint_steps": 7}}
    for _ in range(3):
        run = subprocess.Popen([sys.executable, "-m", "flows", *command(store, killed)], env=environment, start_new_session=True)
        progress = store / "pretrain" / straight["key"] / ".partial-work" / ".progress.jsonl"
        begin = progress.stat().st_size if progress.exists() else 0
        deadline = time.monotonic() + 120
        while (
            run.poll() is None
            and time.monotonic() < deadline
            and (not progress.exists() or progress.stat().st_size < begin + 300)
        ):
            time.sleep(0.02)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    again = json.loads(winnow(*command(store, killed, "--json")).stdout.splitlines()[-1])["artifacts"]["pretrain"]
    assert again["key"] == straight["key"]
    assert (Path(again["path"]) / "model.safetensors").read_bytes() == (Path(straight["path"]) / "model.safetensors").read_bytes()
    clock = ["tokens_per_second", "mfu"]
    ours, theirs = (pl.read_parquet(f"{one['path']}/metrics.parquet").drop(clock) for one in (again, straight))
    assert ours.equals(theirs)
