"""A policy at the beginning and at the end of its training: opened with its reference and prompts, written as a model folder."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor

from models.alignment.logprobs import token_logprobs
from models.alignment.preference import Answer, Answers, answers
from models.formats.peft import save_adapter
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.lora import merge, without_adapters
from models.transformer.loss import IGNORED
from models.transformer.train import Row
from models.transformer.transformer import Transformer
from models.transformer.world import World
from stages.alignment.drawing import Drawn, Verified
from stages.alignment.prompts import Prompt, checkable, prompts
from stages.alignment.start import begun, written
from stages.compute import Compute
from stages.pretraining.metrics import metrics_table
from stages.pretraining.micro import micro_rows
from storage.canonical import digest
from storage.problem import Problem
from storage.shards import encode


@dataclass(frozen=True)
class Opened:
    model: Transformer
    tokenizer: Tokenizer
    prompts: list[Prompt]
    """Of this process."""
    reference: Callable[[], contextlib.AbstractContextManager[Transformer]]
    """The model that training began with, while the block runs."""
    made_of: dict[str, str]
    """What a checkpoint is made of."""


def opened(inputs: Mapping[str, Any], config: Drawn, compute: Compute, world: World) -> Opened:
    """Raises Problem and Unusable."""
    if compute.compile:
        raise Problem(
            "compute.compile is set, and answers have another length in each step, which would be compiled each time; leave it out"
        )
    model, known, name = begun(inputs["model"], config, compute, world)
    if not known.tokenizer.stops:
        raise Problem("the model's tokenizer has no token that ends a turn; expected a model that was fine-tuned on chats")
    asked = prompts(inputs["prompts"].shards, config.select, known.tokenizer, model.shape.context - 1)
    if isinstance(config, Verified) and "answer" in config.rewards:
        checkable(asked)
    if min(config.prompts, len(asked)) < world.size:
        raise Problem(
            f"{config.prompts} prompts a round, {len(asked)} in all, for {world.size} processes; expected one for each at least"
        )
    first = None if config.lora is not None else copy.deepcopy(model).requires_grad_(False)

    @contextlib.contextmanager
    def reference() -> Iterator[Transformer]:
        with torch.no_grad(), without_adapters(model):
            yield model if first is None else first

    made_of = {
        "begun from": name,
        "data": digest([[one.id, one.tokens, dict(one.columns)] for one in asked], 16),
        "settings": digest(config.model_dump(mode="json"), 16),
    }
    return Opened(model, known.tokenizer, asked[world.rank :: world.size], reference, made_of)


def closed(out: Path, policy: Opened, config: Drawn, rows: Sequence[Row], columns: Mapping[str, pl.DataType]) -> None:
    if config.lora is not None:
        if policy.model.shape.family != "gpt2":
            save_adapter(policy.model, out / "adapter")
        merge(policy.model)
    written(out, policy.model, policy.tokenizer)
    (out / "metrics.parquet").write_bytes(encode(metrics_table(rows, columns), columns))


def share_of(count: int, world: World) -> int:
    """How many of `count` are this process's."""
    return count * (world.rank + 1) // world.size - count * world.rank // world.size


def cut(given: Sequence[Answer], model: Transformer, most: int) -> list[list[int]]:
    """Places of answers that go through the model together, the longest first; `most` in a batch, 0: as many as suit the device."""
    lengths = [len(one.prompt) + len(one.completion) for one in given]
    order = sorted(range(len(given)), key=lambda place: -lengths[place])
    pieces = []
    while order:
        size = most or micro_rows(model.shape, lengths[order[0]], model.output_weight.device)
        pieces.append(order[:size])
        order = order[size:]
    return pieces


def logprobs(model: Transformer, given: Sequence[Answer], temperature: float, most: int) -> list[Tensor]:
    """Of each answer's tokens, on the CPU, without gradients."""
    found: list[Tensor] = [torch.empty(0)] * len(given)
    device = model.output_weight.device
    with torch.no_grad():
        for places in cut(given, model, most):
            batch = answers([given[place] for place in places]).to(device)
            values = token_logprobs(model.hidden(batch.tokens), model.output_weight, batch.targets, temperature).cpu()
            for place, row, asked in zip(places, values, (batch.targets != IGNORED).cpu(), strict=True):
                found[place] = row[asked]
    return found


def under_reference(
    policy: Opened, given: Sequence[Answer], places: Sequence[int], temperature: float, most: int
) -> dict[int, Tensor]:
    """Place -> log-probabilities of that answer's tokens under the model that training began with."""
    with policy.reference() as model:
        return dict(zip(places, logprobs(model, [given[place] for place in places], temperature, most), strict=True))


def spread(values: Sequence[Tensor], batch: Answers) -> Tensor:
    """[A, T]: values of each answer's tokens where the batch predicts them, 0 elsewhere."""
    out = torch.zeros(batch.targets.shape, dtype=torch.float32, device=batch.targets.device)
    out[batch.targets != IGNORED] = torch.cat(list(values)).to(out.device)
    return out
