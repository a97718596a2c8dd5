"""Models with int4 or int8 weights in the format compressed-tensors (pack-quantized), which vLLM and transformers load.

In: a model whose matrices stand for `Codes` (models/quantization/layer_by_layer.py), and these. Out: a Hugging Face folder. Back:
a Transformer in fp32.

| tensor | type | |
|---|---|---|
| X.weight_packed | int32 [O, I * bits / 32] | levels + 2^(bits-1), the first in the lowest bits |
| X.weight_scale | fp16 [O, I / G] | |
| X.weight_shape | int64 [2] | O, I |
| all others | fp16 | |

Source: compressed-tensors 0.20, compressors/pack_quantized, and the config of vLLM's compressed-tensors loader.

O outputs, I inputs, G numbers of a group.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.formats.configuration import architecture_of, config_of, shape_of
from models.formats.names import foreign_tensors
from models.formats.tensors import SINGLE, read_json
from models.quantization.integers import Codes, Grid
from models.transformer.outline import outline
from models.transformer.transformer import Transformer
from models.unusable import Unusable

KEY = "quantization_config"


def save_compressed(
    model: Transformer,
    codes: Mapping[str, Codes],
    grid: Grid,
    folder: Path,
    *,
    start: int | None,
    stops: Sequence[int],
    pad: int | None,
) -> None:
    """config.json, generation_config.json, model.safetensors; the same model gives the same bytes."""
    state = {name: weight.detach().to("cpu") for name, weight in model.state_dict().items()}
    tensors: dict[str, Tensor] = {}
    for one in foreign_tensors(model.shape, architecture_of(model.shape)):
        (name,) = one.parts
        if name not in codes:
            tensors[one.name] = state[name].half().contiguous()
            if not torch.isfinite(tensors[one.name]).all():
                raise Unusable(f"{name} holds numbers that fp16 does not; expected smaller weights")
            continue
        there, mine = one.name.removesuffix(".weight"), codes[name]
        tensors[f"{there}.weight_packed"] = pack(mine.levels, grid.bits)
        tensors[f"{there}.weight_scale"] = mine.scales.half().contiguous()
        tensors[f"{there}.weight_shape"] = torch.tensor(mine.levels.shape)
    folder.mkdir(parents=True, exist_ok=True)
    config = config_of(model.shape, "float16", start, stops, pad)
    generation = {field: config[field] for field in ("bos_token_id", "eos_token_id", "pad_token_id")}
    for name, value in (("config.json", {**config, KEY: _described(grid)}), ("generation_config.json", generation)):
        (folder / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    unfinished = folder / f".{SINGLE}"
    save_file(tensors, unfinished, metadata={"format": "pt"})
    os.replace(unfinished, folder / SINGLE)


def _described(grid: Grid) -> dict[str, Any]:
    weights: dict[str, Any] = {
        "num_bits": grid.bits, "type": "int", "symmetric": True, "strategy": "group" if grid.group_size else "channel",
        "group_size": grid.group_size or None, "dynamic": False,
    }  # fmt: skip
    group = {"targets": ["Linear"], "weights": weights, "input_activations": None, "output_activations": None}
    return {
        "quant_method": "compressed-tensors", "format": "pack-quantized", "quantization_status": "compressed",
        "global_compression_ratio": None, "ignore": ["lm_head"], "config_groups": {"group_0": group},
    }  # fmt: skip


def pack(levels_OI: Tensor, bits: int) -> Tensor:
    """int32 [O, I * bits / 32]."""
    outputs, inputs = levels_OI.shape
    each = 32 // bits
    if inputs % each:
        raise Unusable(f"a row of {inputs} levels, of which {each} go into 32 bits; expected a multiple")
    places = (levels_OI.to(torch.int64) + 2 ** (bits - 1)).view(outputs, -1, each) << torch.arange(0, 32, bits)
    whole = places.sum(-1)
    return torch.where(whole >= 2**31, whole - 2**32, whole).to(torch.int32)


def unpack(packed: Tensor, bits: int) -> Tensor:
    """int8 [O, I]."""
    places = packed.to(torch.int64)[..., None] >> torch.arange(0, 32, bits) & 2**bits - 1
    return (places - 2 ** (bits - 1)).to(torch.int8).flatten(1)


def is_compressed(folder: Path) -> bool:
    return (folder / "config.json").is_file() and KEY in read_json(folder / "config.json")


def load_compressed(folder: Path, compute: torch.dtype = torch.float32) -> Transformer:
    """What `save_compressed` wrote, its weights fp32."""
    config = read_json(folder / "config.json")
    said = config.pop(KEY, None) or {}
    if said.get("quant_method") != "compressed-tensors" or said.get("format") != "pack-quantized":
        raise Unusable(f"{folder}: its weights are {said.get('quant_method')!r}; expected compressed-tensors, pack-quantized")
    bits = said["config_groups"]["group_0"]["weights"]["num_bits"]
    shape, architecture = shape_of(config)
    tensors = load_file(folder / SINGLE)
    state: dict[str, Tensor] = {}
    for one in foreign_tensors(shape, architecture):
        (name,) = one.parts
        there = one.name.removesuffix(".weight")
        try:
            if f"{there}.weight_packed" in tensors:
                levels_OI = unpack(tensors[f"{there}.weight_packed"], bits)
                state[name] = Codes(levels_OI, tensors[f"{there}.weight_scale"].float()).weight()
            else:
                state[name] = tensors[one.name].float()
        except KeyError as error:
            raise Unusable(f"{folder} lacks {error}, which its config.json asks for; copy it anew") from None
    model = outline(shape, compute)
    model.load_state_dict(state, assign=True)
    return model
