"""A GGUF file back to a model: what the quantized weights stand for, in fp32, and what the file says of itself.

In: a file that gguf_file.py wrote, or another of the same architectures and kinds of tensors. Out: the Transformer, and the
metadata by name. Every tensor must be there, in its shape, and none may be left over.

Such a file says by how much each frequency of rotary positions is slowed down, not by which rule: the model is for running, its
shape has no `scaling`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import gguf
import numpy as np
import torch
from torch import Tensor

from models.formats.gguf_names import ROTARY, Architecture, architecture_of, held, shapes, unpacked
from models.quantization.blocks import KINDS, Kind, dequantize
from models.transformer.outline import outline
from models.transformer.rotary import frequencies, turns
from models.transformer.shape import Experts, Shape
from models.transformer.transformer import Transformer
from models.unusable import Unusable

_ARCHITECTURES: tuple[Architecture, ...] = ("llama", "qwen3", "qwen3moe", "gpt2")


@dataclass(frozen=True)
class Opened:
    """A file, its tensors mapped and not yet read."""

    path: Path
    metadata: Mapping[str, Any]
    kinds: Mapping[str, Kind]
    shape: Shape
    tensors: Mapping[str, Any]

    def numbers(self, name: str) -> Any:
        """fp32 of a tensor, rows before columns."""
        return dequantize(np.asarray(self.tensors[name].data).view(np.uint8), self.kinds[name])


def open_gguf(path: Path) -> Opened:
    """Raises Unusable where the file is damaged or holds a model of another kind."""
    try:
        reader = gguf.GGUFReader(path)
        metadata = {name: field.contents() for name, field in reader.fields.items()}
    except FileNotFoundError:
        raise Unusable(f"{path} is missing; expected a GGUF file") from None
    except (ValueError, IndexError, KeyError) as error:
        raise Unusable(f"{path} is cut short or no GGUF file: {error}; copy it anew") from None
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    found: dict[str, Kind] = {}
    for name, tensor in tensors.items():
        kind = tensor.tensor_type.name
        if kind not in KINDS:
            raise Unusable(f"{path}: {name} is stored as {kind}; expected one of {', '.join(KINDS)}")
        found[name] = cast(Kind, kind)
    try:
        shape = _shape(path, metadata, tensors)
    except Unusable:
        raise
    except (KeyError, IndexError, TypeError, ValueError, ZeroDivisionError) as error:
        raise Unusable(
            f"{path}: the metadata are not those of a model ({type(error).__name__}: {error}); copy it anew"
        ) from error
    return Opened(path, metadata, found, shape, tensors)


def load_gguf(path: Path, compute: torch.dtype = torch.float32) -> Transformer:
    """The model of the file, its weights fp32."""
    opened = open_gguf(path)
    shape = opened.shape
    rotary = {ROTARY: (shape.head_width // 2,)} if ROTARY in opened.tensors else {}
    expected = shapes(shape) | rotary
    if missing := sorted(expected.keys() - opened.tensors.keys()):
        raise Unusable(f"{path} lacks {missing[0]}, which its metadata ask for; copy it anew")
    if extra := sorted(opened.tensors.keys() - expected.keys()):
        raise Unusable(f"{path} holds {extra[0]}, which no model of its metadata has")
    state: dict[str, Tensor] = {}
    for one in held(shape):
        numbers = opened.numbers(one.name).reshape(expected[one.name])
        state |= unpacked(one, numbers)
    model = outline(shape, compute)
    model.load_state_dict(state, assign=True)
    if rotary:
        model.cos, model.sin = turns(frequencies(shape) / torch.from_numpy(opened.numbers(ROTARY)), shape.context)
    return model


def _shape(path: Path, metadata: Mapping[str, Any], tensors: Mapping[str, Any]) -> Shape:
    kind = metadata.get("general.architecture")
    if kind not in _ARCHITECTURES:
        raise Unusable(f"{path}: the architecture is {kind!r}; expected one of {', '.join(_ARCHITECTURES)}")

    def said(name: str, default: Any = None) -> Any:
        value = metadata.get(f"{kind}.{name}", default)
        if value is None:
            raise Unusable(f"{path} does not say {kind}.{name}; expected the metadata that llama.cpp asks for")
        return value

    for name, none in (("rope.scaling.type", "none"), ("rope.scale_linear", 1.0)):
        if (value := said(name, none)) != none:
            raise Unusable(f"{path}: {kind}.{name} is {value}; expected {none}, or frequencies stretched in {ROTARY}")
    width, heads = said("embedding_length"), said("attention.head_count")
    head_width = said("attention.key_length", width // heads)
    gpt2 = kind == "gpt2"
    experts = None
    if said("expert_count", 0):
        hidden = said("expert_feed_forward_length", said("feed_forward_length"))
        experts = Experts(said("expert_count"), said("expert_used_count"), hidden)
    shape = Shape(
        vocab=int(tensors["token_embd.weight"].shape[1]), width=width, layers=said("block_count"), heads=heads,
        kv_heads=said("attention.head_count_kv", heads), head_width=head_width, hidden=said("feed_forward_length"),
        context=said("context_length"), family="gpt2" if gpt2 else "llama", qk_norm=kind.startswith("qwen3"),
        tied="output.weight" not in tensors, eps=float(said("attention.layer_norm_epsilon" if gpt2 else "attention.layer_norm_rms_epsilon")),
        theta=10_000.0 if gpt2 else float(said("rope.freq_base", 10_000.0)), experts=experts,
    )  # fmt: skip
    assert architecture_of(shape) == kind
    return shape
