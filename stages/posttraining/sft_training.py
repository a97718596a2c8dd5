"""What every process of a fine-tuning job does: open rows and model, train, and on rank 0 write the outputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import torch

from models.chat.template import save_template
from models.formats.peft import save_adapter
from models.formats.pretrained import load_model, read_shape, save_model
from models.tokenizer.reserved import RESERVED
from models.tokenizer.roles import is_winnow
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.lora import Lora, adapt, merge
from models.transformer.train import Row
from models.transformer.transformer import Transformer
from models.transformer.world import World, joined
from stages.compute import Compute
from stages.posttraining.fine_tuning import FineTuning
from stages.posttraining.fitting import fit
from stages.posttraining.material import Chats, Material, Texts, material
from stages.posttraining.sft import SftConfig
from stages.posttraining.tuning import REPLAY, SUPERVISED, Objective, Tuning
from stages.pretraining.figures import NAMES, figures
from stages.pretraining.metrics import EXPERTS, METRICS, MIXTURE, SAMPLES, metrics_table
from stages.pretraining.progress import Progress
from stages.pretraining.start import DTYPES, exact, fits, folder_of, named
from stages.stage import Input
from stages.tokens.rows import Rows
from stages.tokens.vocabulary import Vocabulary, vocabulary
from storage.canonical import digest
from storage.problem import Problem
from storage.shards import encode


def work(inputs: Mapping[str, Any], out: Path, config: SftConfig, compute: Compute) -> dict[str, Any]:
    """The stage's figures. Raises Problem and Unusable."""
    exact(compute)
    with joined(compute.device) as world:
        known = vocabulary(inputs["model"])
        if not is_winnow(known.tokenizer.special):
            missing = [name for name in RESERVED if name not in known.tokenizer.special]
            raise Problem(
                f"the model's tokenizer has no {', '.join(missing[:3])}, which chats are laid out with; expected a model with a tokenizer that "
                "Winnow trained: pretrain one"
            )
        rows = opened(inputs["rows"], out / ".rows", config, known)
        if not isinstance(rows, Chats):
            raise Problem(f"{inputs['rows'].folder} holds rows of text, expected conversations; give an artifact of `layout`")
        model = given_model(folder_of(inputs["model"]), config, known, rows.rows.row_length)
        return tune(model, rows, SUPERVISED, inputs, out, config, compute, world, known, {})


def opened(given: Input, cache: Path, config: FineTuning, known: Vocabulary) -> Material:
    found = material(given, cache, config.mixture, config.seed)
    if found.rows.vocabulary != known.digest:
        raise Problem(
            f"the rows in {given.folder} were made with another tokenizer: vocabulary {found.rows.vocabulary}, the model's is {known.digest}; "
            "render and lay out with the model's own"
        )
    return found


def given_model(folder: Path, config: FineTuning, known: Vocabulary, row_length: int) -> Transformer:
    fits(read_shape(folder), known.tokenizer, row_length)
    return load_model(folder, DTYPES[config.dtype])


def tune(
    model: Transformer,
    rows: Material,
    objective: Objective,
    inputs: Mapping[str, Any],
    out: Path,
    config: FineTuning,
    compute: Compute,
    world: World,
    known: Vocabulary,
    identity: Mapping[str, str],
) -> dict[str, Any]:
    """Train `model` on `rows` and write what comes out; the stage's figures. `identity`: what else a checkpoint is made of."""
    if config.rows < world.size:
        raise Problem(f"{config.rows} rows a step for {world.size} processes; expected at least a row for each: raise `rows`")
    replay = _replay(inputs, out, config, known, model)
    begun = named(model)
    torch.manual_seed(config.seed)
    if config.lora is not None:
        adapt(model, Lora(config.lora.rank, config.lora.alpha, config.lora.targets))
    model.to(world.device)
    schedule = config.plan(len(rows.rows.train))
    progress = Progress(out, schedule.steps)
    chats = is_winnow(known.tokenizer.special)
    method = Tuning(model, rows, replay, objective, known.tokenizer, config, compute, world, progress, chats)
    if compute.compile:
        for block in model.blocks:
            block.compile(dynamic=False)
    made_of = {
        "shape": str(model.shape),
        "data": rows.rows.digest,
        "replayed": replay.rows.digest if replay else "nothing",
        "settings": digest(config.model_dump(mode="json"), 16),
        "begun from": begun,
        **identity,
    }
    table = fit(model, method, schedule, made_of, out, config, compute, world, progress, lambda: method.samples)
    if world.rank == 0:
        _write(out, model, known.tokenizer, table, method)
    return figures(model.shape, table, compute, world, (*NAMES, *(REPLAY if replay else ()), *objective.columns))


def _replay(inputs: Mapping[str, Any], out: Path, config: FineTuning, known: Vocabulary, model: Transformer) -> Material | None:
    if "replay" not in inputs:
        return None
    given = inputs["replay"]
    rows = Rows(given, out / ".replay", {}, config.seed)
    if rows.vocabulary != known.digest or not len(rows.train):
        what = "are none" if not len(rows.train) else f"have vocabulary {rows.vocabulary}, the model's is {known.digest}"
        raise Problem(f"the rows to replay in {given.folder} {what}; give those that the model was pretrained on")
    fits(model.shape, known.tokenizer, rows.row_length)
    return Texts(rows)


def _write(out: Path, model: Transformer, tokenizer: Tokenizer, rows: list[Row], method: Tuning) -> None:
    if method.config.lora is not None:
        if model.shape.family != "gpt2":
            save_adapter(model, out / "adapter")
        merge(model)
    save_model(model, out, start=tokenizer.start, stops=tokenizer.stops, pad=tokenizer.pad)
    tokenizer.save(out)
    if is_winnow(tokenizer.special):
        save_template(out)
    mixture = model.shape.experts is not None
    columns = METRICS | (MIXTURE if mixture else {}) | (REPLAY if method.replay else {}) | dict(method.objective.columns)
    (out / "metrics.parquet").write_bytes(encode(metrics_table(rows, columns), columns))
    (out / "samples.parquet").write_bytes(encode(pl.DataFrame(method.samples, schema=SAMPLES), SAMPLES))
    if mixture:
        (out / "experts.parquet").write_bytes(encode(pl.DataFrame(method.experts.rows, schema=EXPERTS, orient="row"), EXPERTS))
