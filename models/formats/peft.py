"""Adapters in the format of Hugging Face's PEFT: adapter_config.json and adapter_model.safetensors.

In: a folder that PEFT or Winnow wrote for a Llama, Mistral, Qwen3, Qwen3-MoE or Mixtral model. Out: the model with the adapter in it; or
the other way. The matrix `blocks.0.attention.q` is `base_model.model.model.layers.0.self_attn.q_proj` there, its A and B end in
`.lora_A.weight` and `.lora_B.weight`. Which matrices are adapted is read from the file's names; every layer must have the same ones.

Refused by name: what changes the mathematics (rslora, DoRA, biases, ranks of single layers, fully trained modules, other methods than
LoRA), and GPT-2, whose q, k and v are one matrix there and three here. Dropout is for training alone and passed over.
Source: peft 0.21, LoraConfig and get_peft_model_state_dict.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from models.formats.configuration import architecture_of
from models.formats.names import foreign_tensors
from models.formats.tensors import Stored, read_json, stored
from models.transformer.lora import ATTENTION, FEED_FORWARD, Lora, adapt, adapted, adapter_state, load_adapter_state
from models.transformer.shape import Shape
from models.transformer.transformer import Transformer
from models.unusable import Unusable

CONFIG, TENSORS = "adapter_config.json", "adapter_model.safetensors"
_BEFORE = "base_model.model."

# Field -> the only values under which our mathematics is the adapter's; absent counts as the first.
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "use_rslora": (False, None), "use_dora": (False, None), "use_qalora": (False, None), "use_bdlora": (None, False),
    "lora_bias": (False, None), "bias": ("none", None), "fan_in_fan_out": (False, None), "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None), "modules_to_save": (None, []), "trainable_token_indices": (None, [], {}),
    "layer_replication": (None, []), "target_parameters": (None, []), "alora_invocation_tokens": (None, []),
}  # fmt: skip


def save_adapter(model: Transformer, folder: Path, base: str = "") -> None:
    """Write the adapters of `model`; `base`: the model that they are for, a folder or a name. The same adapters give the same bytes."""
    lora = _lora_of(model)
    names = _foreign(model.shape)
    state = adapter_state(model)
    tensors = {
        f"{_BEFORE}{names[path]}.lora_{one.upper()}.weight": state[f"{path}.lora_{one}"].cpu().contiguous()
        for path, _ in adapted(model)
        for one in "ab"
    }
    config = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base or None, "inference_mode": True,
        "r": lora.rank, "lora_alpha": int(lora.alpha) if lora.alpha.is_integer() else lora.alpha, "lora_dropout": 0.0, "bias": "none", "fan_in_fan_out": False,
        "use_rslora": False, "use_dora": False, "init_lora_weights": True,
        "target_modules": [f"{target}_proj" for target in lora.targets],
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    unfinished = folder / f".{TENSORS}"
    save_file(tensors, unfinished, metadata={"format": "pt"})
    os.replace(unfinished, folder / TENSORS)


def load_adapter(model: Transformer, folder: Path) -> Lora:
    """Put the adapter of `folder` into `model`; what it is. `merge` then makes it part of the weights."""
    rank, alpha = _scaling(folder)
    names = _foreign(model.shape)
    with stored(folder, TENSORS) as file:
        lora = Lora(rank, alpha, _targets(file, names, folder))
        state = {
            f"{path}.lora_{one.lower()}": _tensor(file, f"{_BEFORE}{name}.lora_{one}.weight", expected, folder)
            for path, name in names.items()
            if _target(path) in lora.targets
            for one, expected in zip("AB", _shapes(model, path, rank), strict=True)
        }
    adapt(model, lora)
    load_adapter_state(model, state)
    return lora


def _scaling(folder: Path) -> tuple[int, float]:
    """Rank and alpha. Raises Unusable where the config asks for anything else than the paper's LoRA."""
    config = read_json(folder / CONFIG)
    if (kind := config.get("peft_type")) != "LORA":
        raise Unusable(f"{folder / CONFIG}: peft_type is {kind!r}; expected 'LORA'")
    for field, allowed in _NEUTRAL.items():
        if (value := config.get(field, allowed[0])) not in allowed:
            raise Unusable(
                f"{folder / CONFIG}: {field} is {value!r}, which is not computed here; expected {allowed[0]!r}. Merge the adapter with PEFT's "
                "merge_and_unload and load the whole model"
            )
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if type(rank) is not int or not isinstance(alpha, int | float):
        raise Unusable(f"{folder / CONFIG}: r is {rank!r} and lora_alpha {alpha!r}; expected a whole number and a number")
    return rank, float(alpha)


def _foreign(shape: Shape) -> dict[str, str]:
    """Our name of each matrix that can be adapted -> its name in Hugging Face's model."""
    architecture = architecture_of(shape)
    if architecture == "gpt2":
        raise Unusable(
            "an adapter of GPT-2 has no counterpart in PEFT's format: there, q, k and v are one matrix c_attn with one adapter. Merge it and "
            "save the whole model"
        )
    weights = [
        (one.parts[0].removesuffix(".weight"), one.name.removesuffix(".weight"))
        for one in foreign_tensors(shape, architecture)
        if one.expert is None
    ]
    return {path: name for path, name in weights if _target(path) in ATTENTION + FEED_FORWARD}


def _target(path: str) -> str:
    return path.rpartition(".")[2]


def _targets(file: Stored, names: Mapping[str, str], folder: Path) -> tuple[str, ...]:
    """The targets whose matrices the file adapts. Raises Unusable where it does so in some layers only, or adapts anything else."""
    known = {f"{_BEFORE}{name}.lora_{one}.weight": _target(path) for path, name in names.items() for one in "AB"}
    if extra := sorted(file.names - known.keys()):
        raise Unusable(
            f"{folder / TENSORS} holds {extra[0]}, which adapts no matrix of this model; expected names such as {next(iter(known))}"
        )
    found = {known[name] for name in file.names}
    if missing := sorted(name for name, target in known.items() if target in found and name not in file.names):
        raise Unusable(f"{folder / TENSORS} lacks {missing[0]}; expected the same matrices in each of the model's layers")
    return tuple(target for target in ATTENTION + FEED_FORWARD if target in found)


def _shapes(model: Transformer, path: str, rank: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Of A and B."""
    weight: Any = model.get_submodule(path).weight
    outputs, inputs = weight.shape
    return (rank, inputs), (outputs, rank)


def _tensor(file: Stored, name: str, expected: tuple[int, int], folder: Path) -> Tensor:
    if file.shape(name) != expected:
        raise Unusable(f"{folder / TENSORS}: {name} is {list(file.shape(name))}; the model and the rank ask for {list(expected)}")
    return file.tensor(name).to(torch.float32)


def _lora_of(model: Transformer) -> Lora:
    """What the adapters in `model` were made by."""
    found = [*adapted(model)]
    if not found:
        raise Unusable("the model has no adapter to save; expected one that `adapt` was called on")
    there = {_target(path) for path, _ in found}
    return Lora(found[0][1].rank, found[0][1].alpha, tuple(target for target in ATTENTION + FEED_FORWARD if target in there))
