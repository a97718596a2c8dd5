"""Settings that every fine-tuning by gradients has: how long, how fast, which weights, how it is watched."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from models.transformer.optimizer import Kind as OptimizerKind
from models.transformer.schedule import Kind, Schedule
from stages.stage import Config

Target = Literal["q", "k", "v", "o", "gate", "up", "down"]


class LoraFields(Config):
    """Adapters of low rank that learn in place of the weights."""

    rank: int = Field(default=16, ge=1, le=4096)
    """Rows of A, columns of B."""
    alpha: float = Field(default=32.0, gt=0)
    """The product is scaled by alpha / rank."""
    targets: tuple[Target, ...] = Field(default=("q", "k", "v", "o", "gate", "up", "down"), min_length=1)
    """Which matrices of each layer get one."""


class Moves(Config):
    """How weights are moved by gradients: which of them, how fast."""

    lora: LoraFields | None = None
    """Adapters that are trained alone and merged at the end; null: all weights are trained."""
    optimizer: OptimizerKind | None = None
    """Muon for the matrices inside the network and AdamW for the rest, or AdamW for all; null: muon, for adapters adamw."""
    matrix_rate: float = Field(default=0.005, ge=0)
    """Peak learning rate of Muon."""
    rate: float = Field(default=1e-3, ge=0)
    """Peak learning rate of AdamW."""
    embedding_rate: float = Field(default=1e-3, ge=0)
    """Peak learning rate of AdamW for embeddings, where Muon moves the matrices."""
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    """Of what Muon moves; with AdamW alone, of all matrices."""
    schedule: Kind = "constant"
    """Warm up, hold and fall in a straight line; or warm up and fall along a cosine."""
    warmup: float = Field(default=0.02, ge=0, le=1)
    """Share of the steps over which the rates rise."""
    decay: float = Field(default=0.5, ge=0, le=1)
    """Share of the steps over which the rates of a constant schedule fall."""
    floor: float = Field(default=0.02, ge=0, le=1)
    """Share of the peak rates that is left at the end."""
    clip: float = Field(default=1.0, ge=0)
    """Largest global norm of the gradients; 0: any."""
    dtype: Literal["bf16", "fp32"] = "bf16"
    """Type of the mathematics; weights and optimizers are always fp32. On a CPU without bf16 products, fp32 is much faster."""
    seed: int = Field(default=0, ge=0)
    """Of the order of rows, the first adapters and whatever is drawn."""
    spike: float = Field(default=2.0, ge=0)
    """Stop where the loss exceeds the median of the last 64 steps by so many nats and by ten median deviations; 0: never."""

    @model_validator(mode="after")
    def _possible(self) -> Moves:
        if self.lora is not None and self.optimizer == "muon":
            raise ValueError("optimizer muon and lora are both given; adapters are trained with adamw: give that, or null")
        self.over(1)
        return self

    def over(self, steps: int) -> Schedule:
        return Schedule(steps, self.schedule, self.warmup, self.decay, self.floor)


class Updates(Moves):
    """How long weights are moved by rows, and how that is watched."""

    epochs: float = Field(default=3.0, gt=0)
    """How often each row is read, rounded up to whole steps; passed over where `steps` is given."""
    steps: int | None = Field(default=None, ge=1)
    """Updates of the weights; null: by `epochs`."""
    rows: int = Field(default=16, ge=1)
    """Rows of a step, over all processes."""
    validation_every: int = Field(default=50, ge=0)
    """Steps between two looks at the held-out rows; 0: at the beginning and the end alone."""
    validation_rows: int = Field(default=128, ge=0)
    """Most held-out rows that are read at a look; 0: none, there is no validation."""

    def plan(self, count: int) -> Schedule:
        """Over all steps, of a training on `count` rows."""
        return self.over(self.steps or max(1, -int(-self.epochs * count // self.rows)))


class FineTuning(Updates):
    """How a model is trained further."""

    mixture: dict[str, float] = {}
    """Share of each source in the mixture, by its name; empty: every row as often as any other."""
    samples_every: int = Field(default=100, ge=0)
    """Steps between two rounds of samples; 0: at the beginning and the end alone."""
    prompts: tuple[str, ...] = ("Hello! Who are you?", "What is 3 + 4?")
    """What a user says to the model, each in a chat of its own; none: there are no samples."""
    system: str = ""
    """System message of the samples; empty: none."""
    sample_tokens: int = Field(default=64, ge=1)
    """Longest answer."""
    temperature: float = Field(default=0.0, ge=0)
    """Of the samples; 0: always the likeliest token."""
    replay_rows: int = Field(default=4, ge=1)
    """Rows of pretraining text in each step beside `rows`, where the stage is given some to replay."""
    replay_weight: float = Field(default=0.2, gt=0)
    """Weight of the mean loss on them beside that on the rows."""

    @model_validator(mode="after")
    def _consistent(self) -> FineTuning:
        if any(not 0 < weight < float("inf") for weight in self.mixture.values()):
            raise ValueError(f"mixture {self.mixture}; expected positive numbers. To leave a source out, do not lay it out")
        return self
