"""What every process of the pretraining job does: open the data, build or load the model, train, and on rank 0 write the outputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import torch

from models.formats.pretrained import load_model, read_shape, save_model
from models.tokenizer.load import load
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.checkpoint import Checkpoints
from models.transformer.optimizer import optimizers
from models.transformer.shape import Shape
from models.transformer.train import Plan, Row, train
from models.transformer.transformer import Transformer
from models.transformer.world import joined
from stages.compute import Compute
from stages.pretraining.figures import figures
from stages.pretraining.method import Pretraining
from stages.pretraining.metrics import EXPERTS, METRICS, MIXTURE, SAMPLES, metrics_table
from stages.pretraining.pretrain import PretrainConfig, shape_of
from stages.pretraining.progress import Progress
from stages.pretraining.start import DTYPES, exact, fits, folder_of, named
from stages.stage import Input
from stages.tokens.rows import Rows
from stages.tokens.vocabulary import Vocabulary, vocabulary
from storage.canonical import digest
from storage.problem import Problem
from storage.shards import encode


def work(inputs: Mapping[str, Any], out: Path, config: PretrainConfig, compute: Compute) -> dict[str, Any]:
    """The stage's figures. Raises Problem and Unusable."""
    exact(compute)
    with joined(compute.device) as world:
        if config.rows < world.size:
            raise Problem(f"{config.rows} rows a step for {world.size} processes; expected at least a row for each: raise `rows`")
        known = vocabulary(inputs["tokenizer"])
        tokenizer = known.tokenizer
        rows = _rows(inputs["tokens"], out, config, known)
        model, begun = _model(inputs, config, tokenizer, rows.row_length)
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
            for block in model.blocks:
                block.compile(dynamic=False)
        identity = {
            "shape": str(model.shape),
            "data": rows.digest,
            "settings": digest(config.model_dump(mode="json"), 16),
            "begun from": begun,
        }
        checkpoints = Checkpoints(out / ".checkpoints", identity, compute.checkpoint_steps, compute.checkpoint_seconds)
        plan = Plan(config.plan(rows.row_length), config.clip, config.spike)
        table = train(model, method, found, plan, world, checkpoints, progress.watcher(world.rank, lambda: method.samples))
        if world.rank == 0:
            _write(out, model, tokenizer, table, method)
        return figures(model.shape, table, compute, world)


def _rows(packed: Input, out: Path, config: PretrainConfig, known: Vocabulary) -> Rows:
    rows = Rows(packed, out / ".rows", config.mixture, config.seed)
    if not len(rows.train):
        raise Problem(f"found no row to train on in {packed.folder}, expected one at least; pack a corpus that is not empty")
    if rows.vocabulary != known.digest:
        raise Problem(
            f"the rows were packed with another tokenizer: vocabulary {rows.vocabulary}, found {known.digest}; tokenize and pack "
            "with the tokenizer that is given here"
        )
    if config.document_mask and known.tokenizer.start is None:
        raise Problem("document_mask is set, and the tokenizer has no token that begins a document; leave it out")
    return rows


def _model(inputs: Mapping[str, Any], config: PretrainConfig, tokenizer: Tokenizer, row_length: int) -> tuple[Transformer, str]:
    """With its first weights, and a name for these."""
    compute = DTYPES[config.dtype]
    if "model" not in inputs:
        shape = shape_of(config, tokenizer.size, row_length)
        fits(shape, tokenizer, row_length)
        _trained_whole(shape, row_length)
        torch.manual_seed(config.seed)
        return Transformer(shape, compute), f"seed {config.seed}"
    folder = folder_of(inputs["model"])
    if config.shape.given:
        raise Problem(f"shape {config.shape.given} and a model to go on from are both given; expected one of them")
    fits(read_shape(folder), tokenizer, row_length)
    if load(folder).pieces()[: tokenizer.size] != tokenizer.pieces():
        raise Problem(
            f"the model in {folder} has another tokenizer than the one given; expected the tokens to be of the model's own"
        )
    torch.manual_seed(config.seed)
    model = load_model(folder, compute)
    return model, named(model)


def _trained_whole(shape: Shape, row_length: int) -> None:
    """Of a model that begins from nothing: positions that no row has would keep their random weights, or angles never seen."""
    if shape.context > row_length:
        raise Problem(
            f"the context {shape.context} is longer than any row, which has {row_length} tokens; leave shape.context out, or pack rows of "
            f"{shape.context} (pack.row_length)"
        )


def _write(out: Path, model: Transformer, tokenizer: Tokenizer, rows: list[Row], method: Pretraining) -> None:
    save_model(model, out, start=tokenizer.start, stops=tokenizer.stops, pad=tokenizer.pad)
    tokenizer.save(out)
    mixture = model.shape.experts is not None
    columns = METRICS | (MIXTURE if mixture else {})
    (out / "metrics.parquet").write_bytes(encode(metrics_table(rows, columns), columns))
    (out / "samples.parquet").write_bytes(encode(pl.DataFrame(method.samples, schema=SAMPLES), SAMPLES))
    if mixture:
        (out / "experts.parquet").write_bytes(encode(pl.DataFrame(method.experts.rows, schema=EXPERTS, orient="row"), EXPERTS))
