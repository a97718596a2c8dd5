"""What a base model knows and can do. A whole stage, run as a job of its own.

| input | what | for |
|---|---|---|
| model | a model folder with its tokenizer, ours or of Hugging Face | everything |
| text + tokens | the corpus, and what `tokenize` made of it: says what was held out | bits_per_byte, memorisation |
| held_out, training | own texts in their stead (`stages.evaluation.documents`) | the same |
| crawl | the artifact of `simulate`, with facts.parquet | cloze, in_context, prompted |
| tasks | .jsonl files of questions (`stages.evaluation.choices`) | choices |
| compute | mapping: device, threads | |

What is not given is not measured, and the report says so. Out: `scores.parquet` (`stages.evaluation.measures`), `report.md`, and for
every task one table or two with its cases, as people read them (the modules of the tasks say which). Each finished task is kept in
`.done`, so that an evaluation that was killed goes on with the next.

The same model, inputs and config give the same bytes on the same type of device with the same number of threads.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field

from models.formats.pretrained import load_model
from models.tokenizer.load import load
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.transformer import Transformer
from stages.compute import Compute, compute_of
from stages.evaluation import choices, documents, facts
from stages.evaluation.bits_per_byte import BitsPerByteConfig, bits_per_byte
from stages.evaluation.cloze import ClozeConfig, cloze
from stages.evaluation.in_context import InContextConfig, in_context
from stages.evaluation.measures import SCORES, Measure, NotMeasured, Result, frame
from stages.evaluation.memorisation import MemorisationConfig, memorisation
from stages.evaluation.prompted import PromptedConfig, prompted
from stages.evaluation.report import About, report
from stages.job import run_job
from stages.pretraining.start import deterministic
from stages.stage import Config, Input, Stage
from storage.problem import Problem
from storage.shards import encode, read_parquet

PADDING = 1024
"""Rows of an embedding beyond the tokenizer's ids that are taken for padding to a round number."""
DONE = ".done"


class EvaluateBaseConfig(Config):
    """How many cases of each kind, and which."""

    seed: int = Field(0, ge=0)
    """Of every draw: documents, passages, questions, examples."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Type of the mathematics."""
    bits_per_byte: BitsPerByteConfig = BitsPerByteConfig()
    """Held-out text."""
    memorisation: MemorisationConfig = MemorisationConfig()
    """Pages known by heart."""
    cloze: ClozeConfig = ClozeConfig()
    """Facts of the simulated world."""
    in_context: InContextConfig = InContextConfig()
    """Examples in the prompt."""
    prompted: PromptedConfig = PromptedConfig()
    """An assistant by prompt alone."""


def run(inputs: Mapping[str, Any], out: Path, config: EvaluateBaseConfig) -> dict[str, Any]:
    compute = compute_of(inputs.get("compute", {})).model_copy(update={"processes": 1})
    given = {name: value for name, value in inputs.items() if name != "compute"}
    return run_job("stages.evaluation.evaluate:evaluate", given, out, config, compute)


def evaluate(inputs: Mapping[str, Any], out: Path, config: EvaluateBaseConfig, compute: Compute) -> dict[str, Any]:
    """The job. Back: the measures that a person asks for first."""
    deterministic(compute)
    model, tokenizer = opened(inputs["model"], config, compute)
    tasks, missing = planned(inputs, model, tokenizer, config)
    results = {}
    for number, (name, task) in enumerate(tasks.items()):
        progress(out, number, len(tasks), name)
        try:
            results[name] = kept(out / DONE, name, task)
        except NotMeasured as error:
            missing[name] = str(error)
    progress(out, len(tasks), len(tasks), "")
    measures = [measure for result in results.values() for measure in result.measures]
    for result in results.values():
        for name, table in result.tables.items():
            (out / f"{name}.parquet").write_bytes(encode(table, dict(table.schema)))
    (out / "scores.parquet").write_bytes(encode(frame(measures), SCORES))
    about = About(
        parameters=sum(weight.numel() for weight in model.parameters()),
        context=model.shape.context,
        vocabulary=tokenizer.size,
        tokenizer=tokenizer.kind,
    )
    (out / "report.md").write_text(report(about, results, missing), encoding="utf-8")
    return headline(measures)


def opened(given: Input | Path, config: EvaluateBaseConfig, compute: Compute) -> tuple[Transformer, Tokenizer]:
    """Raises Problem where the two do not belong together."""
    folder = given.folder if isinstance(given, Input) else given
    device = ("cuda" if torch.cuda.is_available() else "cpu") if compute.device == "auto" else compute.device
    tokenizer = load(folder)
    model = load_model(folder, getattr(torch, config.precision), device).eval()
    if not 0 <= model.shape.vocab - tokenizer.size < PADDING:
        raise Problem(
            f"the model has a vocabulary of {model.shape.vocab:,}, the tokenizer beside it one of {tokenizer.size:,}; expected the tokenizer "
            "that the model was trained with, in the same folder"
        )
    return model, tokenizer


def planned(
    inputs: Mapping[str, Any], model: Transformer, tokenizer: Tokenizer, config: EvaluateBaseConfig
) -> tuple[dict[str, Callable[[], Result]], dict[str, str]]:
    """What can be measured with these inputs, in order, and why the rest cannot. Reads the small inputs, so that faults show at once."""
    seed = config.seed
    tasks: dict[str, Callable[[], Result]] = {}
    missing: dict[str, str] = {}
    unseen = documents.held_out(inputs, config.bits_per_byte.documents, seed)
    seen = documents.training(inputs, config.bits_per_byte.training_documents, seed)
    if unseen is None:
        missing["bits_per_byte"] = "no held-out text was given (text and tokens, or held_out)"
    else:
        held_out = unseen
        tasks["bits_per_byte"] = lambda: bits_per_byte(model, tokenizer, held_out, seen, config.bits_per_byte)
    if "crawl" in inputs:
        known = facts.read(inputs["crawl"])
        tasks["cloze"] = lambda: cloze(model, tokenizer, known, config.cloze, seed)
        tasks["in_context"] = lambda: in_context(model, tokenizer, known, config.in_context, seed)
        tasks["prompted"] = lambda: prompted(model, tokenizer, known, config.prompted, seed)
    else:
        missing |= dict.fromkeys(
            ("cloze", "in_context", "prompted"), "no simulated crawl was given, so nothing is known to be true"
        )
    if unseen is None or seen is None:
        missing["memorisation"] = "training and held-out text were not both given (text and tokens, or training and held_out)"
    else:
        tasks["memorisation"] = lambda: _memorisation(inputs, model, tokenizer, config)
    if "tasks" in inputs:
        questions = choices.read(inputs["tasks"])
        tasks["choices"] = lambda: choices.choices(model, tokenizer, questions)
    else:
        missing["choices"] = "no tasks were given"
    return tasks, missing


def _memorisation(inputs: Mapping[str, Any], model: Transformer, tokenizer: Tokenizer, config: EvaluateBaseConfig) -> Result:
    drawn = 5 * config.memorisation.pages  # some are too short
    seen, unseen = documents.training(inputs, drawn, config.seed), documents.held_out(inputs, drawn, config.seed)
    assert seen is not None
    assert unseen is not None
    return memorisation(model, tokenizer, seen, unseen, config.memorisation)


def kept(folder: Path, name: str, task: Callable[[], Result]) -> Result:
    """The task's result; that of an earlier attempt if there is one."""
    mine = folder / name
    if mine.exists():
        rows = json.loads((mine / "measures.json").read_text(encoding="utf-8"))
        tables = {path.stem: read_parquet(str(path)) for path in sorted(mine.glob("*.parquet"))}
        return Result([Measure(**row) for row in rows], tables)
    result = task()
    half = folder / f".{name}"
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    for table, rows in result.tables.items():
        (half / f"{table}.parquet").write_bytes(encode(rows, dict(rows.schema)))
    (half / "measures.json").write_text(json.dumps([asdict(measure) for measure in result.measures]), encoding="utf-8")
    half.replace(mine)
    return result


def progress(out: Path, done: int, total: int, text: str) -> None:
    with (out / ".progress.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"done": done, "total": total, "unit": "tasks", "text": text}) + "\n")


def headline(measures: list[Measure]) -> dict[str, float]:
    wanted = {
        "bits_per_byte": ("bits_per_byte", "held_out", "bits_per_byte"),
        "perplexity": ("bits_per_byte", "held_out", "perplexity"),
        "cloze_seen": ("cloze", "seen", "accuracy"),
        "cloze_withheld": ("cloze", "withheld", "accuracy"),
        "prompted_exact_match": ("prompted", "all", "exact_match"),
        "extractable_training": ("memorisation", "training", "extractable"),
        "extractable_unseen": ("memorisation", "unseen", "extractable"),
    }
    found = {(one.task, one.part, one.metric): one.value for one in measures}
    return {name: found[place] for name, place in wanted.items() if place in found}


EVALUATE_BASE = Stage(name="evaluate_base", version=1, run=run, config=EvaluateBaseConfig, shape="whole")
