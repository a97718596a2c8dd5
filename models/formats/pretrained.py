"""A model folder, which IS a Hugging Face folder: config.json, generation_config.json, model.safetensors (the tokenizer beside it is
`models/tokenizer/load.py`'s). What Winnow trains and what others publish is read by the same loader.

In: a folder of a Llama, Mistral, Qwen3, Qwen3-MoE, Mixtral or GPT-2 model with weights in fp32, fp16 or bf16. Out: a Transformer with
fp32 weights. Every tensor must be there, in its shape, and none may be left over.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from models.formats.configuration import Architecture, architecture_of, config_of, shape_of
from models.formats.names import Foreign, foreign_tensors
from models.formats.tensors import SINGLE, Stored, read_json, stored
from models.transformer.lora import adapted
from models.transformer.outline import outline
from models.transformer.shape import Shape
from models.transformer.transformer import Transformer
from models.unusable import Unusable

# Buffers that old checkpoints carry: the causal mask of GPT-2, rotary frequencies. All are derived from the config.
_BUFFERS = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")


def read_shape(folder: Path) -> Shape:
    """The shape alone, without the weights."""
    return _shape(folder)[0]


def _shape(folder: Path) -> tuple[Shape, Architecture]:
    path = folder / "config.json"
    config = read_json(path)
    try:
        return shape_of(config)
    except Unusable as error:
        raise Unusable(f"{path}: {error}") from None


def load_model(folder: Path, compute: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Transformer:
    """The weights are fp32 whatever the file holds; `compute` is the type of the mathematics."""
    shape, architecture = _shape(folder)
    model = outline(shape, compute)
    state = {name: torch.empty(weight.shape) for name, weight in model.state_dict().items()}
    with stored(folder) as files:
        known = _known_as(foreign_tensors(shape, architecture), files.names)
        _same_names(files, {there for _, there in known}, shape, folder)
        for foreign, there in known:
            _fill(state, foreign, _checked(files, there, foreign, state, folder))
    model.load_state_dict(state, assign=True)
    model.to(device)
    return model


def _known_as(tensors: list[Foreign], there: set[str]) -> list[tuple[Foreign, str]]:
    """Each with its name in the file: a bare GPT2Model, as gpt2 itself is published, leaves out `transformer.`."""
    bare = "wte.weight" in there
    return [(one, one.name.removeprefix("transformer.") if bare else one.name) for one in tensors]


def _same_names(files: Stored, expected: set[str], shape: Shape, folder: Path) -> None:
    there = {name for name in files.names if not name.endswith(_BUFFERS)}
    if missing := sorted(expected - there):
        raise Unusable(f"{folder} lacks {_some(missing)}, which its config.json asks for; expected {len(expected)} tensors")
    extra = there - expected
    if shape.tied and "lm_head.weight" in extra:
        embedding = next(
            name for name in ("model.embed_tokens.weight", "transformer.wte.weight", "wte.weight") if name in expected
        )
        if not torch.equal(files.tensor("lm_head.weight"), files.tensor(embedding)):
            raise Unusable(f"{folder}: lm_head.weight differs from {embedding}, but config.json says tie_word_embeddings")
        extra.discard("lm_head.weight")
    if extra:
        raise Unusable(f"{folder} holds {_some(sorted(extra))}, which no model of its config.json has")


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more tensors" if len(names) > 3 else "")


def _checked(files: Stored, there: str, foreign: Foreign, state: dict[str, Tensor], folder: Path) -> Tensor:
    expected = _join(foreign, state).shape
    if files.shape(there) != tuple(expected):
        raise Unusable(f"{folder}: {there} is {list(files.shape(there))}; its config.json asks for {list(expected)}")
    return files.tensor(there)


def _join(foreign: Foreign, state: dict[str, Tensor]) -> Tensor:
    """The tensor as the file holds it; without a copy when it is one of ours."""
    parts = [state[name] if foreign.expert is None else state[name][foreign.expert] for name in foreign.parts]
    joined = parts[0] if len(parts) == 1 else torch.cat(parts)
    return joined.T if foreign.transposed else joined


def _fill(state: dict[str, Tensor], foreign: Foreign, tensor: Tensor) -> None:
    if foreign.transposed:
        tensor = tensor.T
    for name, part in zip(foreign.parts, tensor.chunk(len(foreign.parts)), strict=True):
        (state[name] if foreign.expert is None else state[name][foreign.expert]).copy_(part)


def save_model(
    model: Transformer,
    folder: Path,
    *,
    start: int | None,
    stops: Sequence[int],
    pad: int | None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write config.json, generation_config.json and model.safetensors; the same model gives the same bytes.

    Raises Unusable for a model with adapters.
    """
    if any(True for _ in adapted(model)):
        raise Unusable(
            "the model has adapters, for which this format has no place; merge them first, or save them alone in PEFT's"
        )
    architecture = architecture_of(model.shape)
    state = {name: weight.detach().to("cpu", dtype) for name, weight in model.state_dict().items()}
    tensors = {one.name: _join(one, state).contiguous() for one in foreign_tensors(model.shape, architecture)}
    folder.mkdir(parents=True, exist_ok=True)
    config = config_of(model.shape, str(dtype).removeprefix("torch."), start, stops, pad)
    generation = {field: config[field] for field in ("bos_token_id", "eos_token_id", "pad_token_id")}
    for name, value in (("config.json", config), ("generation_config.json", generation)):
        (folder / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    unfinished = folder / f".{SINGLE}"
    save_file(tensors, unfinished, metadata={"format": "pt"})
    os.replace(unfinished, folder / SINGLE)
