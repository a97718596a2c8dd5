"""What every process of a distillation does: as a fine-tuning (sft_training.py), with a teacher beside and its expectations to learn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import torch

from models.transformer.distillation import divergence
from models.transformer.loss import IGNORED, cross_entropy
from models.transformer.train import Loss, Row
from models.transformer.transformer import Transformer
from models.transformer.world import World, joined
from stages.compute import Compute
from stages.posttraining.distill import DistillConfig
from stages.posttraining.sft_training import given_model, opened, tune
from stages.posttraining.tuning import Objective
from stages.pretraining.batches import Batch
from stages.pretraining.pretrain import PretrainConfig, shape_of
from stages.pretraining.start import DTYPES, exact, fits, folder_of, named
from stages.tokens.vocabulary import Vocabulary, vocabulary
from storage.problem import Problem

COLUMNS: dict[str, pl.DataType] = {
    "divergence": pl.Float64(),
    "cross_entropy": pl.Float64(),
    "validation_divergence": pl.Float64(),
    "agreement": pl.Float64(),
}


def work(inputs: Mapping[str, Any], out: Path, config: DistillConfig, compute: Compute) -> dict[str, Any]:
    """The stage's figures. Raises Problem and Unusable."""
    exact(compute)
    with joined(compute.device) as world:
        known = vocabulary(inputs["teacher"])
        rows = opened(inputs["rows"], out / ".rows", config, known)
        teacher = given_model(folder_of(inputs["teacher"]), config, known, rows.rows.row_length).requires_grad_(False)
        model = _student(inputs, config, known, rows.rows.row_length)
        if model.shape.vocab != teacher.shape.vocab:
            raise Problem(
                f"the student's vocabulary has {model.shape.vocab} rows, the teacher's {teacher.shape.vocab}; expected the same of both"
            )
        identity = {"teacher": named(teacher)}
        objective = taught_by(teacher.to(world.device), config.distillation_temperature, config.share)
        return tune(model, rows, objective, inputs, out, config, compute, world, known, identity)


def _student(inputs: Mapping[str, Any], config: DistillConfig, known: Vocabulary, row_length: int) -> Transformer:
    if "model" not in inputs:
        shape = shape_of(PretrainConfig(preset=config.preset, shape=config.shape), known.tokenizer.size, row_length)
        fits(shape, known.tokenizer, row_length)
        torch.manual_seed(config.seed)
        return Transformer(shape, DTYPES[config.dtype])
    if config.shape.given:
        raise Problem(f"shape {config.shape.given} and a student to go on from are both given; expected one of them")
    own = vocabulary(inputs["model"])
    if own.digest != known.digest:
        raise Problem(
            f"student and teacher have two tokenizers: vocabulary {own.digest} and {known.digest}; expected one. Train the student on what the "
            "teacher answers instead"
        )
    return given_model(folder_of(inputs["model"]), config, known, row_length)


def taught_by(teacher: Transformer, temperature: float, share: float) -> Objective:
    def loss(model: Transformer, batch: Batch) -> Loss:
        hidden = model.hidden(batch.tokens, batch.positions, batch.mask)
        apart, count = divergence(
            hidden, model.output_weight, _expected(teacher, batch), teacher.output_weight, batch.targets, temperature
        )
        missed, _ = cross_entropy(hidden, model.output_weight, batch.targets)
        return Loss(
            share * apart + (1 - share) * missed, count, None, {"divergence": (apart, count), "cross_entropy": (missed, count)}
        )

    def observe(model: Transformer, batches: Iterator[Batch], world: World) -> Row:
        sums = torch.zeros(3, dtype=torch.float64, device=world.device)  # divergence, tokens, those with the same likeliest token
        with torch.no_grad():
            for batch in batches:
                hidden, expected = model.hidden(batch.tokens, batch.positions, batch.mask), _expected(teacher, batch)
                apart, count = divergence(hidden, model.output_weight, expected, teacher.output_weight, batch.targets)
                learnt = batch.targets != IGNORED
                same = model.logits(hidden[learnt]).argmax(-1) == teacher.logits(expected[learnt]).argmax(-1)
                sums += torch.stack([apart.double(), count.double(), same.sum().double()])
        apart_sum, tokens, agreed = world.total(sums).tolist()
        return {"validation_divergence": apart_sum / tokens, "agreement": agreed / tokens} if tokens else {}

    return Objective(loss, COLUMNS, ("divergence", "cross_entropy"), observe)


def _expected(teacher: Transformer, batch: Batch) -> torch.Tensor:
    with torch.no_grad():
        return teacher.hidden(batch.tokens, batch.positions, batch.mask)
