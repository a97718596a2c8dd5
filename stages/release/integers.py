"""A model with int4 or int8 weights, for vLLM and transformers: by GPTQ, AWQ or plain rounding, written as compressed-tensors.

In: `model`, a dense Llama or Qwen3 model folder with its tokenizer; text of the corpus, `text` and `tokens` or `training`
(stages/evaluation/documents.py; `rtn` needs none); `compute`. Out, in `out`: a Hugging Face folder
(models/formats/compressed_tensors.py) with the tokenizer's files, and `method.json`: how it was made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from models.chat.template import FILE as TEMPLATE
from models.formats.compressed_tensors import save_compressed
from models.formats.pretrained import load_model
from models.quantization.integers import Codes, Grid
from models.quantization.layer_by_layer import Method, to_integers
from models.tokenizer.load import load
from stages.compute import compute_of
from stages.pretraining.start import exact, folder_of
from stages.release.calibration import batches, device_of
from stages.release.importance import CalibrationConfig, calibration_rows
from stages.release.progress import progress
from stages.stage import Stage


class IntegersConfig(CalibrationConfig):
    """How weights are rounded, and on what text that is measured."""

    method: Method = "gptq"
    """gptq: each column makes up for those before; awq: columns that meet large activations are scaled; rtn: to the nearest."""
    bits: Literal[4, 8] = 4
    """Of a weight."""
    group_size: int = Field(128, ge=0)
    """Numbers of a row that share a scale; 0: all. Must divide the model's widths."""


def run(inputs: Mapping[str, Any], out: Path, config: IntegersConfig) -> dict[str, Any]:
    """Round and write; back: figures. Raises Problem and Unusable."""
    compute = compute_of(inputs.get("compute", {}))
    exact(compute)
    folder = folder_of(inputs["model"])
    model, tokenizer = load_model(folder, device=device_of(compute)).eval(), load(folder)
    grid = Grid(config.bits, config.group_size)
    rows = [] if config.method == "rtn" else batches(calibration_rows(inputs, config, model.shape.context))
    codes: dict[str, Codes] = {}
    for place, found in enumerate(to_integers(model, rows, config.method, grid), 1):
        codes |= found
        progress(out, place, model.shape.layers, "layers", config.method)
    save_compressed(model, codes, grid, out, start=tokenizer.start, stops=tokenizer.stops, pad=tokenizer.pad)
    tokenizer.save(out)
    if (folder / TEMPLATE).is_file():
        (out / TEMPLATE).write_bytes((folder / TEMPLATE).read_bytes())
    said = {"method": config.method, "bits": config.bits, "group_size": config.group_size}
    (out / "method.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    return {
        "matrices": len(codes),
        "calibration_tokens": sum(piece.numel() for piece in rows),
        "bytes": (out / "model.safetensors").stat().st_size,
    }


INTEGERS = Stage(name="integers", version=1, run=run, config=IntegersConfig, shape="whole")
