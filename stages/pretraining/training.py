"""What every process of the pretraining job does: open the data, build or load the model, train, and on rank 0 write the outputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from models.formats.pretrained import save_model
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.checkpoint import Checkpoints
from models.transformer.divergence import Diverged
from models.transformer.optimizer import optimizers
from models.transformer.train import Plan, Row, train
from models.transformer.transformer import Transformer
from models.transformer.world import joined
from stages.compute import Compute
from stages.pretraining.figures import figures
from stages.pretraining.given import first_model, open_rows
from stages.pretraining.method import Pretraining
from stages.pretraining.metrics import EXPERTS, METRICS, MIXTURE, SAMPLES, metrics_table
from stages.pretraining.pretrain import PretrainConfig
from stages.pretraining.progress import Progress
from stages.pretraining.start import DTYPES, compiled, exact
from stages.tokens.vocabulary import vocabulary
from storage.canonical import digest
from storage.problem import Problem
from storage.shards import encode

GOOD = ".last-good"
"""Folder of the model of the last good checkpoint, where a training was stopped because its loss went wrong."""


def work(inputs: Mapping[str, Any], out: Path, config: PretrainConfig, compute: Compute) -> dict[str, Any]:
    """The stage's figures. Raises Problem and Unusable."""
    exact(compute)
    with joined(compute.device) as world:
        if config.rows < world.size:
            raise Problem(f"{config.rows} rows a step for {world.size} processes; expected at least a row for each: raise `rows`")
        known = vocabulary(inputs["tokenizer"])
        tokenizer = known.tokenizer
        rows = open_rows(inputs["tokens"], out, config, known)
        model, begun = first_model(inputs, config, tokenizer, rows.row_length)
        model.to(world.device)
        progress = Progress(out, config.plan(rows.row_length).steps)
        method = Pretraining(model, rows, tokenizer, config, compute, world, progress)
        found = optimizers(
            model,
            config.optimizer,
            matrix_rate=config.matrix_rate,
            rate=config.rate,
            embedding_rate=config.embedding_rate,
            weight_decay=config.weight_decay,
            momentum=config.momentum,
            betas=(config.beta1, config.beta2),
            compute=DTYPES[config.dtype],
        )
        if compute.compile:
            compiled(model)
        identity = {
            "shape": str(model.shape),
            "data": rows.digest,
            "settings": digest(config.model_dump(mode="json"), 16),
            "begun from": begun,
        }
        checkpoints = Checkpoints(out / ".checkpoints", identity, compute.checkpoint_steps, compute.checkpoint_seconds)
        plan = Plan(config.plan(rows.row_length), config.clip, config.spike)
        watcher = progress.watcher(world.rank, lambda: method.samples)
        try:
            table = train(model, method, found, plan, world, checkpoints, watcher)
        except Diverged as error:
            if world.rank == 0 and (good := checkpoints.load(progress.say)) is not None:
                model.load_state_dict(good["model"])
                _write_model(out / GOOD, model, tokenizer)
                raise Diverged(f"{error}. Its model is in {out / GOOD}: other settings may go on from it") from error
            raise
        if world.rank == 0:
            _write(out, model, tokenizer, table, method)
        return figures(model.shape, table, compute, world)


def _write_model(folder: Path, model: Transformer, tokenizer: Tokenizer) -> None:
    save_model(model, folder, start=tokenizer.start, stops=tokenizer.stops, pad=tokenizer.pad)
    tokenizer.save(folder)


def _write(out: Path, model: Transformer, tokenizer: Tokenizer, rows: list[Row], method: Pretraining) -> None:
    _write_model(out, model, tokenizer)
    mixture = model.shape.experts is not None
    columns = METRICS | (MIXTURE if mixture else {})
    (out / "metrics.parquet").write_bytes(encode(metrics_table(rows, columns), columns))
    (out / "samples.parquet").write_bytes(encode(pl.DataFrame(method.samples, schema=SAMPLES), SAMPLES))
    if mixture:
        (out / "experts.parquet").write_bytes(encode(pl.DataFrame(method.experts.rows, schema=EXPERTS, orient="row"), EXPERTS))
