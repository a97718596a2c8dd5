"""Pretraining: packed rows of tokens to a base model.

In: `tokens`, an artifact of `pack`; `tokenizer`, the one that made them; `model`, if given, a model folder to go on from; `compute`,
where and how to run (stages/compute.py), which changes nothing but the last bits. Out, in `out`:

| file | |
|---|---|
| config.json, generation_config.json, model.safetensors, tokenizer files | the model, a Hugging Face folder |
| metrics.parquet | a row a step: METRICS, and MIXTURE of a mixture of experts (stages/pretraining/metrics.py) |
| samples.parquet | what it wrote after fixed prompts: SAMPLES |
| experts.parquet | of a mixture of experts: EXPERTS, at each validation |

The work (stages/pretraining/training.py) is a job that may be killed at any moment: run again, it goes on from its last checkpoint in
`out/.checkpoints` and ends with the same losses and weights, bit for bit, on the same kind of device with the same torch, threads and
processes. tokens_per_second and mfu are of the clock and differ.

A step reads `rows` rows in an order that is a pure function of seed, mixture and place. Its loss is the sum over its supervised tokens
divided by their number, over all micro-batches and processes; padding is not supervised. Attention crosses the borders of documents
within a row unless `document_mask` is set; positions count on over borders either way.

Sources: Jordan et al. 2024 (Muon), Hu et al. 2024 (MiniCPM: warm up, hold, decay).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from models.transformer.presets import PRESETS, preset
from models.transformer.schedule import Kind, Schedule
from models.transformer.shape import Experts, Shape
from stages.compute import compute_of
from stages.job import run_job
from stages.stage import Config, Stage


class ExpertFields(Config):
    """A mixture of experts in place of each feed-forward network."""

    count: int = Field(ge=1, le=1024)
    """Experts of a layer."""
    active: int = Field(ge=1, le=1024)
    """Experts that a token meets."""
    hidden: int = Field(ge=1)
    """Inner width of one expert."""
    normalised: bool = True
    """Whether the weights of the chosen experts add up to one."""
    balance: float = Field(default=0.001, ge=0)
    """Weight of the load-balance loss."""


class ShapeFields(Config):
    """What is to differ from the preset; null: as there."""

    family: Literal["llama", "gpt2"] | None = None
    """Llama and Qwen3, or GPT-2."""
    vocab: int | None = Field(default=None, ge=1)
    """Rows of the embedding; null: as many as the tokenizer has tokens."""
    width: int | None = Field(default=None, ge=1)
    """Numbers per position between the layers."""
    layers: int | None = Field(default=None, ge=1)
    """Layers."""
    heads: int | None = Field(default=None, ge=1)
    """Query heads."""
    kv_heads: int | None = Field(default=None, ge=1)
    """Key and value heads."""
    head_width: int | None = Field(default=None, ge=1)
    """Numbers per head."""
    hidden: int | None = Field(default=None, ge=1)
    """Inner width of the feed-forward network."""
    context: int | None = Field(default=None, ge=1)
    """Longest row; null: as long as the packed rows are."""
    qk_norm: bool | None = None
    """RMSNorm on queries and keys."""
    tied: bool | None = None
    """Whether the embedding is also the output matrix."""
    eps: float | None = Field(default=None, gt=0)
    """Of every norm."""
    theta: float | None = Field(default=None, gt=0)
    """Base of the rotary frequencies."""
    experts: ExpertFields | None = None
    """A mixture of experts."""

    @property
    def given(self) -> dict[str, Any]:
        """The fields that are not null."""
        return {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}


class PretrainConfig(Config):
    """How a base model is trained."""

    preset: str = "demo"
    """Shape of a model that begins from nothing: demo, small, small-moe, 35m, 100m, gpt2-124m, 400m, 1.5b."""
    shape: ShapeFields = ShapeFields()
    """Where that shape is to differ."""
    steps: int | None = Field(default=None, ge=1)
    """Updates of the weights; null: by `tokens`."""
    tokens: int = Field(default=5_000_000, ge=1)
    """Tokens to read, rounded up to whole steps; passed over where `steps` is given."""
    rows: int = Field(default=16, ge=1)
    """Rows of a step, over all processes."""
    mixture: dict[str, float] = {}
    """Share of each corpus in the mixture, by its name; empty: every row as often as any other."""
    optimizer: Literal["muon", "adamw"] = "muon"
    """Muon for the matrices inside the network and AdamW for the rest, or AdamW for all."""
    matrix_rate: float = Field(default=0.02, ge=0)
    """Peak learning rate of Muon."""
    rate: float = Field(default=3e-3, ge=0)
    """Peak learning rate of AdamW."""
    embedding_rate: float = Field(default=0.02, ge=0)
    """Peak learning rate of AdamW for embeddings, where Muon moves the matrices: few rows of them are moved by a step."""
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    """Of what Muon moves; with AdamW alone, of all matrices."""
    momentum: float = Field(default=0.95, ge=0, lt=1)
    """Of Muon."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """Of AdamW: how slowly its mean gradient moves."""
    beta2: float = Field(default=0.95, ge=0, lt=1)
    """Of AdamW: how slowly its mean square moves."""
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
    document_mask: bool = False
    """Whether attention stops at the borders of documents in a row; positions count on either way."""
    seed: int = Field(default=0, ge=0)
    """Of the first weights, the order of rows and the samples."""
    validation_every: int = Field(default=100, ge=0)
    """Steps between two looks at the validation rows; 0: at the beginning and the end alone."""
    validation_rows: int = Field(default=128, ge=0)
    """Most validation rows that are read at a look; 0: none, there is no validation."""
    samples_every: int = Field(default=100, ge=0)
    """Steps between two rounds of samples; 0: at the beginning and the end alone."""
    prompts: tuple[str, ...] = ("", "The ")
    """What the model is to continue; none: there are no samples."""
    sample_tokens: int = Field(default=64, ge=1)
    """Longest completion."""
    temperature: float = Field(default=0.8, ge=0)
    """Of the samples; 0: always the likeliest token."""
    spike: float = Field(default=2.0, ge=0)
    """Stop where the loss exceeds the median of the last 64 steps by so many nats and by ten median deviations; 0: never."""

    @model_validator(mode="after")
    def _sound(self) -> PretrainConfig:
        if self.preset not in PRESETS:
            raise ValueError(f"no preset is called {self.preset!r}; expected one of {', '.join(PRESETS)}")
        if any(not 0 < weight < float("inf") for weight in self.mixture.values()):
            raise ValueError(f"mixture {self.mixture}; expected positive numbers. To leave a corpus out, do not pack it")
        self.plan(row_length=1)
        shape_of(self, vocab=self.shape.vocab or 2, row_length=self.shape.context or 8)
        return self

    def plan(self, row_length: int) -> Schedule:
        """Over all steps."""
        steps = self.steps or -(-self.tokens // (self.rows * row_length))
        return Schedule(steps, self.schedule, self.warmup, self.decay, self.floor)


def shape_of(config: PretrainConfig, vocab: int, row_length: int) -> Shape:
    """Of a model that begins from nothing. Raises Unusable where its numbers do not fit each other."""
    given = config.shape.given
    if config.shape.experts is not None:
        given["experts"] = Experts(**config.shape.experts.model_dump())
    if given.get("family") == "gpt2":
        # What GPT-2 cannot have is not asked for by naming the family on top of a Llama preset.
        given = {"qk_norm": False, "kv_heads": given.get("heads", preset(config.preset).heads), **given}
    return replace(preset(config.preset), **({"vocab": vocab, "context": row_length} | given))


def run(inputs: Mapping[str, Any], out: Path, config: PretrainConfig) -> dict[str, Any]:
    """Have the job done; back: its figures. Raises Problem."""
    given = {name: value for name, value in inputs.items() if name != "compute"}
    return run_job("stages.pretraining.training:work", given, out, config, compute_of(inputs.get("compute", {})))


PRETRAIN = Stage(name="pretrain", version=1, run=run, config=PretrainConfig, shape="whole")
