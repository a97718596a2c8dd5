"""Fine-tuning as a method of the training loop: rows in their order, an objective, rows of pretraining text among them, held-out rows.

The objective says what is learnt of a micro-batch: `assistant_loss`, or a teacher's expectations (distill_training.py). Where there are
rows to replay, their mean loss, times a weight, is added to that of the step; it is no part of the reported loss. The load-balance loss
of a mixture of experts counts for each position, as in pretraining.

B rows, T positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import torch
from torch import nn

from models.tokenizer.tokenizer import Tokenizer
from models.transformer.ceiling import matmul_ceiling
from models.transformer.counting import flops_per_token
from models.transformer.loss import cross_entropy
from models.transformer.train import Loss, Row
from models.transformer.transformer import Transformer
from models.transformer.world import World
from stages.compute import Compute
from stages.posttraining.chat_samples import write_chat_samples
from stages.posttraining.fine_tuning import FineTuning
from stages.posttraining.material import Material
from stages.pretraining.batches import Batch
from stages.pretraining.expert_load import ExpertLoad
from stages.pretraining.metrics import due
from stages.pretraining.micro import micro_rows
from stages.pretraining.progress import Progress
from stages.pretraining.samples import Sample
from stages.pretraining.validation import bytes_of_tokens, validate

REPLAY: dict[str, pl.DataType] = {"replay_loss": pl.Float64()}  # nats per token of the replayed rows


@dataclass(frozen=True)
class Objective:
    loss: Callable[[Transformer, Batch], Loss]
    """Of a micro-batch, without auxiliary."""
    columns: Mapping[str, pl.DataType] = field(default_factory=dict)
    """What it reports beside the metrics of every training."""
    measures: tuple[str, ...] = ()
    """Those of them that `loss` measures."""
    observe: Callable[[Transformer, Iterator[Batch], World], Row] = lambda model, batches, world: {}
    """What else is measured on the held-out rows."""


def assistant_loss(model: Transformer, batch: Batch) -> Loss:
    """Cross-entropy of what is learnt: in conversations, what the assistant says."""
    hidden = model.hidden(batch.tokens, batch.positions, batch.mask)
    return Loss(*cross_entropy(hidden, model.output_weight, batch.targets))


SUPERVISED = Objective(assistant_loss)


@dataclass(frozen=True)
class Piece:
    """A micro-batch of a step."""

    batch: Batch
    replay: float | None
    """What the sum of its loss is multiplied by, where it is replayed."""
    balance: float
    """What the load-balance loss, a sum over positions, is multiplied by: supervised tokens of the step / its positions."""


class Tuning:
    def __init__(
        self,
        model: Transformer,
        material: Material,
        replay: Material | None,
        objective: Objective,
        tokenizer: Tokenizer,
        config: FineTuning,
        compute: Compute,
        world: World,
        progress: Progress,
        chats: bool,
    ) -> None:
        """`chats`: whether the tokenizer has the tokens of chats, so that samples can be drawn."""
        self.model, self.material, self.replay, self.objective = model, material, replay, objective
        self.tokenizer, self.config, self.world, self.progress = tokenizer, config, world, progress
        self.steps = progress.total
        self.prompts = config.prompts if chats else ()
        self.micro = compute.micro_rows
        self.bytes_V = bytes_of_tokens(tokenizer, model.shape.vocab).to(world.device)
        self.flops = self._flops(material, config.rows) + (self._flops(replay, config.replay_rows) if replay else 0.0)
        # All processes at once: they share the cores of a machine.
        mine = torch.tensor(matmul_ceiling(world.device, model.compute), dtype=torch.float64, device=world.device)
        self.ceiling = float(world.total(mine))
        self.drawn = 0
        self.replayed = 0
        self.samples: list[Sample] = []
        self.experts = ExpertLoad()

    def batches(self, step: int) -> Sequence[Piece]:
        config = self.config
        batches, supervised = self.material.training(self.drawn, config.rows, self._micro(self.material), self.world)
        self.drawn += config.rows
        balance = supervised / (config.rows * self.material.rows.row_length)
        pieces = [Piece(batch, None, balance) for batch in batches]
        if self.replay is not None:
            texts, read = self.replay.training(self.replayed, config.replay_rows, self._micro(self.replay), self.world)
            self.replayed += config.replay_rows
            pieces += [Piece(text, config.replay_weight * supervised / max(1, read), 1.0) for text in texts]
        return pieces

    def loss(self, model: nn.Module, piece: Piece) -> Loss:
        assert isinstance(model, Transformer)
        found = self.objective.loss(model, piece.batch) if piece.replay is None else assistant_loss(model, piece.batch)
        nothing, none = torch.zeros_like(found.total.detach()), torch.zeros_like(found.count)
        auxiliary, measures = None, dict(found.measures)
        if model.shape.experts is not None:
            positions = torch.full_like(none, piece.batch.tokens.numel())
            auxiliary = model.balance() * piece.balance
            measures["balance"] = (model.balance(), positions)
        if piece.replay is not None:
            auxiliary = piece.replay * (found.total if auxiliary is None else found.total + auxiliary)
            measures |= dict.fromkeys(self.objective.measures, (nothing, none)) | {"replay_loss": (found.total, found.count)}
            return Loss(nothing, none, auxiliary, measures)
        if self.replay is not None:
            measures["replay_loss"] = (nothing, none)
        return Loss(found.total, found.count, auxiliary, measures)

    def observe(self, step: int, seconds: float) -> Row:
        row: Row = {}
        config = self.config
        look = due(step, config.validation_every, self.steps)
        if step:
            if (
                config.lora is None
            ):  # with adapters, no gradients of the frozen weights are computed: another number of operations
                row["mfu"] = self.flops / seconds / self.ceiling
            row |= self.experts.figures(self.model, self.world, step, look)
        if look:
            row |= validate(self.model, self._validation(), self.bytes_V, self.world)
            row |= self.objective.observe(self.model, self._validation(), self.world)
        if self.world.rank == 0 and self.prompts and due(step, config.samples_every, self.steps):
            written = write_chat_samples(
                self.model,
                self.tokenizer,
                step,
                self.prompts,
                config.system,
                config.sample_tokens,
                config.temperature,
                config.seed,
            )
            self.samples += written
            self.progress.samples(written)
        return row

    def _validation(self) -> Iterator[Batch]:
        return self.material.validation(self.config.validation_rows, self._micro(self.material), self.world)

    def _micro(self, material: Material) -> int:
        return self.micro or micro_rows(self.model.shape, material.rows.row_length, self.world.device)

    def _flops(self, material: Material, rows: int) -> float:
        return rows * material.rows.row_length * flops_per_token(self.model.shape, material.rows.row_length)

    def state(self) -> dict[str, Any]:
        return {"drawn": self.drawn, "replayed": self.replayed, "samples": self.samples, "experts": self.experts.state()}

    def restore(self, state: dict[str, Any]) -> None:
        self.drawn, self.replayed, self.samples = state["drawn"], state["replayed"], state["samples"]
        self.experts.restore(state["experts"])
