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
from models.transformer.counting import parameters
from models.transformer.optimizer import optimizers
from models.transformer.shape import Shape
from models.transformer.train import Plan, Row, train
from models.transformer.transformer import Transformer
from models.transformer.world import World, joined
from stages.compute import Compute
from stages.pretraining.method import Pretraining
from stages.pretraining.metrics import EXPERTS, METRICS, MIXTURE, SAMPLES, metrics_table
from stages.pretraining.pretrain import PretrainConfig, shape_of
from stages.pretraining.progress import Progress
from stages.stage import Input
from stages.tokens.rows import Rows
from stages.tokens.vocabulary import Vocabulary, vocabulary
from storage.canonical import digest
from storage.problem import Problem
from storage.shards import encode

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


def work(inputs: Mapping[str, Any], out: Path, config: PretrainConfig, compute: Compute) -> dict[str, Any]:
    """The stage's figures. Raises Problem and Unusable."""
    torch.set_num_threads(compute.threads_each)  # the environment alone is held to the number of cores
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # nothing here reads what it has not written
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
        table = train(model, method, found, plan, world, checkpoints, method.watcher())
        if world.rank == 0:
            _write(out, model, tokenizer, table, method)
        return _figures(model.shape, table, compute, world)


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


def folder_of(given: Input | Path) -> Path:
    return given if isinstance(given, Path) else given.folder


def _model(inputs: Mapping[str, Any], config: PretrainConfig, tokenizer: Tokenizer, row_length: int) -> tuple[Transformer, str]:
    """With its first weights, and a name for these."""
    compute = DTYPES[config.dtype]
    if "model" not in inputs:
        shape = shape_of(config, tokenizer.size, row_length)
        _fits(shape, tokenizer, row_length)
        torch.manual_seed(config.seed)
        return Transformer(shape, compute), f"seed {config.seed}"
    folder = folder_of(inputs["model"])
    if config.shape.given:
        raise Problem(f"shape {config.shape.given} and a model to go on from are both given; expected one of them")
    _fits(read_shape(folder), tokenizer, row_length)
    if load(folder).pieces()[: tokenizer.size] != tokenizer.pieces():
        raise Problem(
            f"the model in {folder} has another tokenizer than the one given; expected the tokens to be of the model's own"
        )
    torch.manual_seed(config.seed)
    model = load_model(folder, compute)
    return model, "weights " + digest({name: float(weight.double().sum()) for name, weight in model.state_dict().items()}, 16)


def _fits(shape: Shape, tokenizer: Tokenizer, row_length: int) -> None:
    if shape.vocab < tokenizer.size:
        raise Problem(
            f"the tokenizer has {tokenizer.size} tokens, the model's vocabulary is {shape.vocab}; expected no fewer. Leave shape.vocab out or "
            "train a smaller tokenizer"
        )
    if shape.context < row_length:
        raise Problem(
            f"the rows are {row_length} tokens long, the model's context is {shape.context}; expected rows that fit: pack shorter ones"
        )


def _write(out: Path, model: Transformer, tokenizer: Tokenizer, rows: list[Row], method: Pretraining) -> None:
    save_model(model, out, start=tokenizer.start, stops=tokenizer.stops, pad=tokenizer.pad)
    tokenizer.save(out)
    mixture = model.shape.experts is not None
    (out / "metrics.parquet").write_bytes(encode(metrics_table(rows, mixture), METRICS | (MIXTURE if mixture else {})))
    (out / "samples.parquet").write_bytes(encode(pl.DataFrame(method.samples, schema=SAMPLES), SAMPLES))
    if mixture:
        (out / "experts.parquet").write_bytes(encode(pl.DataFrame(method.experts, schema=EXPERTS, orient="row"), EXPERTS))


def _figures(shape: Shape, rows: list[Row], compute: Compute, world: World) -> dict[str, Any]:
    """Without the clock's: a snapshot holds them."""
    last = {name: value for row in rows for name, value in row.items()}  # the newest of each
    counted = parameters(shape)
    names = ("loss", "validation_loss", "bits_per_byte", "perplexity", "expert_entropy")
    return {
        "parameters": counted.total,
        "active_parameters": counted.active,
        "steps": int(last["step"]),
        "tokens": int(last["tokens"]),
        **{name: last[name] for name in names if name in last},
        "computed_on": f"{world.device.type}, {world.size} x {compute.threads_each} threads, torch {torch.__version__}",
    }
