"""The gate of a release: each quantized variant is compared with the full-precision model before anyone sees it.

In: `model`, the full-precision model with its tokenizer; `quantized`, an artifact of `quantize` or `integers`, or several by
names that begin with `quantized`; held-out text, `text` and `tokens` or `held_out` (stages/evaluation/documents.py); `compute`.
Out, in `out`: `variants.parquet`, a row a variant, the full-precision model first:

| column | type | meaning |
|---|---|---|
| variant | string | the file, or of an int4 or int8 model its method and bits |
| kinds | string | what its matrices are stored as, the commonest first |
| bytes | i64 | of the file |
| bits_per_weight | f64 | 8 * bytes of all tensors / numbers in them |
| kl, kl_error, kl_p99 | f64 | divergence from the full-precision model, nats per token: mean, its standard error, 99th percentile |
| same_top | f64 | share of tokens where both find the same token likeliest |
| perplexity, perplexity_error | f64 | of the held-out text, and its standard error |
| perplexity_ratio | f64 | over the full-precision model's |
| bound | f64 | of kl |

`errors.parquet`, a row for each tensor of each variant that is not stored exactly: variant, tensor, kind, `relative_error` (root
mean square of the difference over that of the weights), `largest_error`; and `table.md`, the first for people.

A variant whose kl exceeds its bound stops the release; the message names the tensors with the largest relative errors. Default
bounds are five times what models of this project showed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field
from torch import Tensor

from models.formats.compressed_tensors import KEY, is_compressed, load_compressed
from models.formats.gguf_names import held
from models.formats.gguf_read import load_gguf, open_gguf
from models.formats.pretrained import load_model
from models.formats.tensors import SINGLE, read_json
from models.quantization.divergence import Divergence, divergence, hidden_states
from models.tokenizer.load import load
from models.transformer.transformer import Transformer
from stages.compute import compute_of
from stages.evaluation.documents import held_out
from stages.pretraining.start import exact, folder_of
from stages.release.calibration import batches, device_of, token_rows
from stages.release.progress import progress
from stages.stage import Config, Input, Stage
from storage.problem import Problem
from storage.shards import encode

VARIANTS: dict[str, pl.DataType] = {
    "variant": pl.String(),
    "kinds": pl.String(),
    "bytes": pl.Int64(),
    "bits_per_weight": pl.Float64(),
    "kl": pl.Float64(),
    "kl_error": pl.Float64(),
    "kl_p99": pl.Float64(),
    "same_top": pl.Float64(),
    "perplexity": pl.Float64(),
    "perplexity_error": pl.Float64(),
    "perplexity_ratio": pl.Float64(),
    "bound": pl.Float64(),
}
ERRORS: dict[str, pl.DataType] = {
    "variant": pl.String(),
    "tensor": pl.String(),
    "kind": pl.String(),
    "relative_error": pl.Float64(),
    "largest_error": pl.Float64(),
}
TYPICAL: Mapping[str, float] = {
    "F32": 1e-9, "F16": 6e-8, "BF16": 4e-6, "Q8_0": 4e-5, "Q6_K": 2e-4, "Q5_K_M": 5e-4, "Q5_K_S": 6e-4, "Q4_K_M": 1.2e-3, "Q4_K_S": 1.4e-3,
    "Q4_0": 2e-3, "gptq-int4": 2.4e-4, "awq-int4": 7e-4, "rtn-int4": 8.9e-4, "gptq-int8": 4e-5, "awq-int8": 4e-5, "rtn-int8": 4e-5,
}  # fmt: skip
"""Nats per token."""
FACTOR, FACTOR_OF_SMALL, SMALL = 5.0, 30.0, 10_000_000
NAMED = 5
"""Worst tensors that a refusal names."""


class GateConfig(Config):
    """On what variants are compared, and how far they may be from the model."""

    documents: int = Field(1000, ge=1)
    """Most pages of held-out text, drawn by the seed."""
    tokens: int = Field(50_000, ge=3)
    """Most tokens that are read."""
    row_length: int = Field(512, ge=2)
    """Tokens of a row; the model's context where that is shorter."""
    factor: float | None = Field(None, gt=0)
    """A variant may be this many times as far as is typical of its type; null: 5 times, of a model with less than 10 million parameters 30, for
    those of which it is known are larger, and small ones lose more."""
    bounds: dict[str, float] = {}
    """Type, such as Q4_K_M or gptq-int4, to its own bound of the mean divergence in nats per token."""
    seed: int = Field(0, ge=0)
    """Draws the pages."""

    def bound(self, kind: str, parameters: int) -> float:
        factor = self.factor or (FACTOR if parameters >= SMALL else FACTOR_OF_SMALL)
        return self.bounds[kind] if kind in self.bounds else factor * TYPICAL[kind]


@dataclass(frozen=True)
class Variant:
    kind: str
    """Its type, by which it is bounded."""
    name: str
    path: Path


def run(inputs: Mapping[str, Any], out: Path, config: GateConfig) -> dict[str, Any]:
    """Compare; back: the divergence of each variant. Raises Problem where one is too far."""
    compute = compute_of(inputs.get("compute", {}))
    exact(compute)
    device = device_of(compute)
    folder = folder_of(inputs["model"])
    reference = load_model(folder, device=device).eval()
    documents = held_out(inputs, config.documents, config.seed)
    if documents is None:
        raise Problem("no held-out text was given to compare on; expected `held_out`, or `text` and `tokens`")
    rows_NT = token_rows(documents, load(folder), min(config.row_length, reference.shape.context), config.tokens)
    found = [one for name, given in inputs.items() if name.startswith("quantized") for one in variants(given)]
    if not found:
        raise Problem("no quantized model was given to compare; expected an artifact of `quantize` or `integers`")
    if unknown := [one.kind for one in found if one.kind not in TYPICAL and one.kind not in config.bounds]:
        raise Problem(
            f"{unknown[0]} has no typical divergence; expected one of {', '.join(TYPICAL)}, or a bound of its own in `bounds`"
        )
    if unknown := [kind for kind in config.bounds if kind not in TYPICAL and kind not in {one.kind for one in found}]:
        raise Problem(f"bounds names {unknown[0]}; expected one of {', '.join(TYPICAL)}")
    states = hidden_states(reference, batches(rows_NT))
    whole = divergence(reference, states, reference, batches(rows_NT))
    size = (
        (folder / SINGLE).stat().st_size
        if (folder / SINGLE).is_file()
        else sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    )
    count = sum(weight.numel() for weight in reference.parameters())
    table = [_row("full precision", "F32", size, 32.0 * count, count, whole, whole, 0.0)]
    errors: list[tuple[str, str, str, float, float]] = []
    refused: list[str] = []
    for place, one in enumerate(found):
        progress(out, place, len(found), "variants", one.name)
        model, kinds, bits = opened(one)
        compared = divergence(reference, states, model.to(device).eval(), batches(rows_NT))
        mine = sorted(_errors(reference, model, kinds), key=lambda row: -row[2])
        errors += [(one.name, *row) for row in mine]
        weights = one.path if one.path.is_file() else one.path / SINGLE
        row = _row(one.name, _counted(kinds), weights.stat().st_size, bits, count, compared, whole, config.bound(one.kind, count))
        table.append(row)
        if not row["kl"] <= row["bound"]:
            worst = ", ".join(f"{tensor} ({kind}, {relative:.2%})" for tensor, kind, relative, _ in mine[:NAMED])
            refused.append(
                f"{one.name} is {row['kl']:.2e} nats per token from the full-precision model; expected {row['bound']:.2e} at most. Largest relative "
                f"errors: {worst or 'none'}"
            )
    frame = pl.DataFrame(table, schema=VARIANTS)
    (out / "variants.parquet").write_bytes(encode(frame, VARIANTS))
    (out / "errors.parquet").write_bytes(encode(pl.DataFrame(errors, schema=ERRORS, orient="row"), ERRORS))
    (out / "table.md").write_text(markdown(frame, len(compared.kl)), encoding="utf-8")
    if refused:
        raise Problem(
            "; ".join(refused)
            + ". Use a type with more bits, measure importance on more text, or, if the loss is wanted, raise `bounds` or `factor`"
        )
    return {f"kl {row['variant']}": row["kl"] for row in table[1:]}


def variants(given: Input | Path) -> Iterator[Variant]:
    """GGUF files named NAME-TYPE.gguf, and folders of compressed weights."""
    folder = folder_of(given)
    for path in sorted(folder.glob("*.gguf")):
        yield Variant(path.stem.rpartition("-")[2], path.name, path)
    if is_compressed(folder):
        method = read_json(folder / "method.json")
        kind = f"{method['method']}-int{method['bits']}"
        yield Variant(kind, kind, folder)


def opened(one: Variant) -> tuple[Transformer, dict[str, str], float]:
    """The model, what each of its parameters is stored as, and the bits of all tensors."""
    if one.path.is_file():
        file = open_gguf(one.path)
        kinds = {part: str(file.kinds[tensor.name]) for tensor in held(file.shape) for part in tensor.parts}
        return load_gguf(one.path), kinds, 8.0 * sum(int(tensor.n_bytes) for tensor in file.tensors.values())
    bits = read_json(one.path / "config.json")[KEY]["config_groups"]["group_0"]["weights"]["num_bits"]
    model = load_compressed(one.path)
    kinds = {
        name: f"int{bits}" if name.startswith("blocks.") and weight.ndim > 1 else "F16"
        for name, weight in model.named_parameters()
    }
    return model, kinds, 8.0 * (one.path / SINGLE).stat().st_size


def _row(
    name: str, kinds: str, size: int, bits: float, count: int, compared: Divergence, whole: Divergence, bound: float
) -> dict[str, Any]:
    perplexity = math.exp(float(compared.loss.mean()))
    n = math.sqrt(len(compared.kl))
    return {
        "variant": name, "kinds": kinds, "bytes": size, "bits_per_weight": bits / count, "kl": float(compared.kl.mean()),
        "kl_error": float(compared.kl.std()) / n, "kl_p99": float(np.quantile(compared.kl.numpy(), 0.99)),
        "same_top": float(compared.same_top.double().mean()), "perplexity": perplexity,
        "perplexity_error": perplexity * float(compared.loss.std()) / n,
        "perplexity_ratio": math.exp(float(compared.loss.mean() - whole.loss.mean())), "bound": bound,
    }  # fmt: skip


def _counted(kinds: Mapping[str, str]) -> str:
    counted = Counter(kind for name, kind in kinds.items() if not name.endswith(("norm.weight", "bias")))
    return ", ".join(f"{kind} {count}" for kind, count in counted.most_common())


def _errors(reference: Transformer, model: Transformer, kinds: Mapping[str, str]) -> Iterator[tuple[str, str, float, float]]:
    other = dict(model.named_parameters())
    for name, weight in reference.named_parameters():
        difference = (other[name] - weight).detach().double()
        if bool(difference.any()):
            yield name, kinds[name], _ratio(difference, weight.detach()), float(difference.abs().max())


def _ratio(difference: Tensor, weight: Tensor) -> float:
    return float(difference.norm() / weight.double().norm().clamp_min(1e-30))


def markdown(frame: pl.DataFrame, predictions: int) -> str:
    """The table of variants for people."""
    lines = [
        "| variant | size | bits per weight | KL, mean | KL, 99th percentile | same top token | perplexity |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in frame.to_dicts():
        lines.append(
            f"| {row['variant']} | {row['bytes'] / 1e6:,.2f} MB | {row['bits_per_weight']:.2f} | {row['kl']:.2e} ± {row['kl_error']:.0e} | "
            f"{row['kl_p99']:.2e} | {row['same_top']:.2%} | {row['perplexity']:.3f} ± {row['perplexity_error']:.3f} |"
        )
    stored = [f"- {row['variant']}: {row['kinds']}" for row in frame.to_dicts()[1:]]
    told = f"KL: nats per token, from the full-precision model, over {predictions:,} tokens of held-out text."
    return "\n".join([*lines, "", told, "", "Matrices are stored as", "", *stored, ""])


GATE = Stage(name="gate", version=2, run=run, config=GateConfig, shape="whole")
