"""Pretraining as a method of the training loop: next-token prediction over packed rows, watched by validation rows and samples.

B rows, T positions.
"""

from collections.abc import Iterator, Sequence
from typing import Any

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
from stages.pretraining.batches import Batch, batches, share
from stages.pretraining.expert_load import ExpertLoad
from stages.pretraining.metrics import due
from stages.pretraining.micro import micro_rows
from stages.pretraining.pretrain import PretrainConfig
from stages.pretraining.progress import Progress
from stages.pretraining.samples import Sample, write_samples
from stages.pretraining.validation import bytes_of_tokens, validate
from stages.tokens.rows import Rows


class Pretraining:
    def __init__(
        self,
        model: Transformer,
        rows: Rows,
        tokenizer: Tokenizer,
        config: PretrainConfig,
        compute: Compute,
        world: World,
        progress: Progress,
    ) -> None:
        self.model, self.rows, self.tokenizer, self.config, self.world, self.progress = (
            model,
            rows,
            tokenizer,
            config,
            world,
            progress,
        )
        self.steps = config.plan(rows.row_length).steps
        most = compute.micro_rows or micro_rows(model.shape, rows.row_length, world.device)
        mine = -(-config.rows // world.size)
        self.micro = -(-mine // -(-mine // most))  # of like size, so that no small one is left over
        self.start = rows.start if config.document_mask else None
        self.bytes_V = bytes_of_tokens(tokenizer, model.shape.vocab).to(world.device)
        self.position_flops = flops_per_token(model.shape, rows.row_length)
        self.ceiling = self._ceiling(model.compute)
        self.drawn = 0
        self.samples: list[Sample] = []
        self.experts = ExpertLoad()

    def _ceiling(self, dtype: torch.dtype) -> float:
        """FLOP/s of all processes, who measure at once: they may share the cores of a machine."""
        mine = matmul_ceiling(self.world.device, dtype)
        if dtype == torch.bfloat16 and self.world.device.type == "cpu" and not self.world.rank:
            full = matmul_ceiling(self.world.device, torch.float32)
            if full > mine:
                self.progress.say(
                    f"this CPU multiplies bf16 {full / mine:.1f} times more slowly than fp32: dtype fp32 will be faster"
                )
        return float(self.world.total(torch.tensor(mine, dtype=torch.float64, device=self.world.device)))

    def batches(self, step: int) -> Sequence[Batch]:
        tokens, used = self.rows.training(self.drawn, self.config.rows)
        self.drawn += self.config.rows
        mine = share(self.config.rows, self.world)
        return list(batches(tokens[mine], used[mine], self.micro, self.start, self.world.device))

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        assert isinstance(model, Transformer)
        total, count = cross_entropy(model.hidden(batch.tokens, mask=batch.mask), model.output_weight, batch.targets)
        if model.shape.experts is None:
            return Loss(total, count)
        balance = model.balance()
        return Loss(total, count, balance, {"balance": (balance, count)})

    def observe(self, step: int, seconds: float) -> Row:
        row: Row = {}
        look = due(step, self.config.validation_every, self.steps)
        if step:
            row["mfu"] = self.config.rows * self.rows.row_length * self.position_flops / seconds / self.ceiling
            row |= self.experts.figures(self.model, self.world, step, look)
        if look:
            row |= validate(self.model, self._validation(), self.bytes_V, self.world)
        if self.world.rank == 0 and self.config.prompts and due(step, self.config.samples_every, self.steps):
            config = self.config
            written = write_samples(
                self.model, self.tokenizer, step, config.prompts, config.sample_tokens, config.temperature, config.seed
            )
            self.samples += written
            self.progress.samples(written)
        return row

    def _validation(self) -> Iterator[Batch]:
        tokens, used = self.rows.validation(0, self.config.validation_rows)
        mine = share(len(tokens), self.world)
        return batches(tokens[mine], used[mine], self.micro, self.start, self.world.device)

    def state(self) -> dict[str, Any]:
        return {"drawn": self.drawn, "samples": self.samples, "experts": self.experts.state()}

    def restore(self, state: dict[str, Any]) -> None:
        self.drawn, self.samples = state["drawn"], state["samples"]
        self.experts.restore(state["experts"])
