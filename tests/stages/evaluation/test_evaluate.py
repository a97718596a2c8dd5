import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from models.formats.pretrained import save_model
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.transformer import Transformer
from stages.compute import Compute
from stages.evaluation.bits_per_byte import BitsPerByteConfig
from stages.evaluation.cloze import ClozeConfig
from stages.evaluation.evaluate import DONE, EVALUATE_BASE, EvaluateBaseConfig, evaluate
from stages.evaluation.in_context import InContextConfig
from stages.evaluation.measures import SCORES
from stages.evaluation.memorisation import MemorisationConfig
from stages.evaluation.prompted import PromptedConfig
from stages.stage import Input
from storage.problem import Problem
from storage.shards import read_parquet
from tests.stages.evaluation.country import Country

CONFIG = EvaluateBaseConfig(
    bits_per_byte=BitsPerByteConfig(documents=6),
    memorisation=MemorisationConfig(pages=6, prompt_tokens=8, continuation_tokens=8),
    cloze=ClozeConfig(context=""),
    in_context=InContextConfig(questions=5, examples=(0, 2)),
    prompted=PromptedConfig(questions=5, examples=1, max_tokens=12),
)
CPU = Compute(device="cpu", threads=1)
TABLES = ("held_out", "loss_by_position", "cloze", "in_context", "prompted", "memorisation", "choices")


@pytest.fixture
def inputs(model_folder: Path, crawl: Input, country: Country, tmp_path: Path) -> dict[str, Any]:
    """A model folder, the simulated crawl, a corpus with its split, and a task."""
    pages = [*country.pages.items(), *country.unread.items()]
    corpus = pl.DataFrame(
        {"id": [f"{place}-{name}" for place, (name, _) in enumerate(pages)], "text": [text for _, text in pages]}
    )
    split = ["train"] * len(country.pages) + ["validation"] * len(country.unread)
    given: dict[str, Any] = {"model": model_folder, "crawl": crawl}
    for name, frame in (("text", corpus), ("tokens", corpus.select("id", split=pl.Series(split)))):
        (tmp_path / name).mkdir()
        frame.write_parquet(tmp_path / name / "a.parquet")
        given[name] = Input(tmp_path / name, ("a.parquet",))
    question = {"query": "Question: Where is it?\nAnswer:", "choices": ["here", "there"], "gold": 0}
    (tmp_path / "places.jsonl").write_text(json.dumps(question))
    return given | {"tasks": tmp_path / "places.jsonl"}


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir() if not path.name.startswith(".")}


def new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_everything_is_measured_written_and_told(inputs: dict[str, Any], tmp_path: Path) -> None:
    out = new(tmp_path / "out")
    stats = evaluate(inputs, out, CONFIG, CPU)
    assert set(files(out)) == {"scores.parquet", "report.md", *(f"{name}.parquet" for name in TABLES)}
    scores = read_parquet(str(out / "scores.parquet"))
    assert dict(scores.schema) == SCORES
    assert scores["task"].unique(maintain_order=True).to_list() == [
        "bits_per_byte", "cloze", "in_context", "prompted", "memorisation", "choices",
    ]  # fmt: skip
    assert (scores["low"].fill_null(0) <= scores["value"].fill_null(0)).all()
    assert stats["cloze_withheld"] == scores.filter(pl.col("task") == "cloze", pl.col("part") == "withheld")["value"][0] > 0.9
    assert stats["bits_per_byte"] > stats["cloze_seen"] > stats["extractable_unseen"]
    report = (out / "report.md").read_text()
    for heading in (
        "predicts text",
        "knows of its world",
        "examples in the prompt",
        "by prompt alone",
        "by heart",
        "Multiple choice",
    ):
        assert heading in report
    assert f"| withheld | {stats['cloze_withheld']:.3f} [" in report
    assert "Not measured" not in report
    events = [json.loads(line) for line in (out / ".progress.jsonl").read_text().splitlines()]
    assert [(one["done"], one["total"]) for one in events] == [(n, 6) for n in range(7)]


def test_same_inputs_same_bytes_also_when_it_was_killed_between(inputs: dict[str, Any], tmp_path: Path) -> None:
    first, again = new(tmp_path / "first"), new(tmp_path / "again")
    evaluate(inputs, first, CONFIG, CPU)
    shutil.copytree(first / DONE, again / DONE)
    for finished in ("memorisation", "choices"):
        shutil.rmtree(again / DONE / finished)
    (again / DONE / ".memorisation").mkdir()
    (again / DONE / ".memorisation" / "half.parquet").write_bytes(b"PAR1")
    before = (again / DONE / "cloze" / "cloze.parquet").stat().st_mtime_ns
    evaluate(inputs, again, CONFIG, CPU)
    assert files(again) == files(first)
    assert (again / DONE / "cloze" / "cloze.parquet").stat().st_mtime_ns == before


def test_what_is_not_given_is_not_measured_and_the_report_says_so(inputs: dict[str, Any], tmp_path: Path) -> None:
    out = new(tmp_path / "out")
    stats = evaluate({"model": inputs["model"]}, out, CONFIG, CPU)
    assert stats == {}
    assert set(files(out)) == {"scores.parquet", "report.md"}
    report = (out / "report.md").read_text()
    for line in (
        "bits_per_byte: no held-out text was given",
        "cloze: no simulated crawl was given",
        "choices: no tasks were given",
    ):
        assert f"- {line}" in report
    assert read_parquet(str(out / "scores.parquet")).is_empty()


def test_what_does_not_fit_the_model_is_left_out_with_its_reason(inputs: dict[str, Any], tmp_path: Path) -> None:
    out = new(tmp_path / "out")
    config = CONFIG.model_copy(update={"memorisation": MemorisationConfig()})
    assert "extractable_training" not in evaluate(inputs, out, config, CPU)
    assert (
        "- memorisation: 50 tokens of prompt, 50 of continuation and the first are 101; the model's context is 96"
        in (out / "report.md").read_text()
    )
    assert not (out / "memorisation.parquet").exists()


def test_a_model_with_another_vocabulary_is_refused(
    inputs: dict[str, Any], tokenizer: Tokenizer, fresh: Transformer, tmp_path: Path
) -> None:
    for vocab, message in ((300, "a vocabulary of 300"), (2_000, "a vocabulary of 2,000")):
        folder = tmp_path / f"model-{vocab}"
        torch.manual_seed(0)
        save_model(Transformer(dataclasses.replace(fresh.shape, vocab=vocab)), folder, start=1, stops=(2,), pad=0)
        tokenizer.save(folder)
        with pytest.raises(Problem, match=f"the model has {message}, the tokenizer beside it one of 512"):
            evaluate({"model": Input(folder, ())}, new(tmp_path / f"out-{vocab}"), CONFIG, CPU)


def test_faulty_inputs_show_before_anything_is_computed(inputs: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "places.jsonl").write_text("{}")
    out = new(tmp_path / "out")
    with pytest.raises(Problem, match=r"line 1 of places\.jsonl"):
        evaluate(inputs, out, CONFIG, CPU)
    assert not (out / DONE).exists()


@pytest.mark.slow
def test_the_stage_runs_as_a_job_and_its_problems_come_back(inputs: dict[str, Any], tmp_path: Path) -> None:
    compute = {"device": "cpu", "threads": "1", "processes": "2"}
    given = {name: inputs[name] for name in ("model", "crawl")} | {"compute": compute}
    out = new(tmp_path / "out")
    stats = EVALUATE_BASE.run(given, out, CONFIG)
    assert stats["cloze_withheld"] > 0.9
    assert set(files(out)) == {"scores.parquet", "report.md", "cloze.parquet", "in_context.parquet", "prompted.parquet"}
    with pytest.raises(Problem, match=r"no facts\.parquet"):
        EVALUATE_BASE.run(given | {"crawl": Input(tmp_path, ("truth.parquet",))}, new(tmp_path / "other"), CONFIG)
