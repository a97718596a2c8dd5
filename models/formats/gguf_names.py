"""Where each of a model's weights lies in a GGUF file: one `Held` per tensor, in the order in which llama.cpp writes them.

| shape | architecture there | how it differs |
|---|---|---|
| qk_norm | qwen3 | |
| qk_norm, experts | qwen3moe | experts in one tensor [E, ...] |
| no qk_norm, also with experts | llama | rows of q and k of each head: first all even ones, then all odd ones, here the other way round |
| family gpt2 | gpt2 | q, k and v in one matrix |

Refused: what llama.cpp would silently compute otherwise (`architecture_of`). Source: llama.cpp, src/llama-arch.cpp, src/models/.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.transformer.outline import outline
from models.transformer.rotary import frequencies
from models.transformer.shape import Shape
from models.unusable import Unusable

Architecture = Literal["llama", "qwen3", "qwen3moe", "gpt2"]
ROTARY = "rope_freqs.weight"
"""By how much each pair of a head turns slower than without scaling; no parameter of ours."""
_LAYER = re.compile(r"blk\.(\d+)\.")
_NUMBER = re.compile(r"^blocks\.\d+\.")


@dataclass(frozen=True)
class Held:
    name: str
    """In the file."""
    parts: tuple[str, ...]
    """Parameters of `Transformer` that it holds, one below the other."""
    heads: int = 0
    """Where not 0: the rows of so many heads are in llama.cpp's order."""


def architecture_of(shape: Shape) -> Architecture:
    if shape.family == "gpt2":
        return "gpt2"
    if shape.experts is not None and not shape.experts.normalised:
        raise Unusable(
            "experts whose weights do not add up to one: llama.cpp computes that for no Llama or Qwen3; expected normalised ones"
        )
    if not shape.qk_norm:
        return "llama"
    if shape.scaling is not None:
        raise Unusable("qk_norm with rope scaling of Llama 3: llama.cpp scales no Qwen3 that way; expected one of the two")
    return "qwen3" if shape.experts is None else "qwen3moe"


def held(shape: Shape) -> list[Held]:
    """A tied output matrix is not among them."""
    tensors = _gpt2(shape) if architecture_of(shape) == "gpt2" else _llama(shape)
    return sorted([*tensors, *_around(shape)], key=lambda one: (_layer(one.name), one.name))


def _layer(name: str) -> int:
    found = _LAYER.match(name)
    return int(found[1]) if found else -1


def _around(shape: Shape) -> Iterator[Held]:
    kinds = ("weight", "bias") if shape.family == "gpt2" else ("weight",)
    yield Held("token_embd.weight", ("embedding.weight",))
    yield from (Held(f"output_norm.{kind}", (f"norm.{kind}",)) for kind in kinds)
    if not shape.tied:
        yield Held("output.weight", ("output.weight",))
    if shape.family == "gpt2":
        yield Held("position_embd.weight", ("positions.weight",))
    if shape.scaling is not None:
        yield Held(ROTARY, ())


def _llama(shape: Shape) -> Iterator[Held]:
    turned = {"q": shape.heads, "k": shape.kv_heads} if not shape.qk_norm else {}
    for layer in range(shape.layers):
        there, here = f"blk.{layer}", f"blocks.{layer}"
        yield Held(f"{there}.attn_norm.weight", (f"{here}.attention_norm.weight",))
        for one in "qkv":
            yield Held(f"{there}.attn_{one}.weight", (f"{here}.attention.{one}.weight",), turned.get(one, 0))
        yield Held(f"{there}.attn_output.weight", (f"{here}.attention.o.weight",))
        if shape.qk_norm:
            for one in "qk":
                yield Held(f"{there}.attn_{one}_norm.weight", (f"{here}.attention.{one}_norm.weight",))
        yield Held(f"{there}.ffn_norm.weight", (f"{here}.feed_forward_norm.weight",))
        for one in ("gate", "up", "down"):
            if shape.experts is None:
                yield Held(f"{there}.ffn_{one}.weight", (f"{here}.feed_forward.{one}.weight",))
            else:
                yield Held(f"{there}.ffn_{one}_exps.weight", (f"{here}.feed_forward.{one}",))
        if shape.experts is not None:
            yield Held(f"{there}.ffn_gate_inp.weight", (f"{here}.feed_forward.router.weight",))


def _gpt2(shape: Shape) -> Iterator[Held]:
    for layer in range(shape.layers):
        there, here = f"blk.{layer}", f"blocks.{layer}"
        for kind in ("weight", "bias"):
            yield Held(f"{there}.attn_norm.{kind}", (f"{here}.attention_norm.{kind}",))
            yield Held(f"{there}.attn_qkv.{kind}", tuple(f"{here}.attention.{one}.{kind}" for one in "qkv"))
            yield Held(f"{there}.attn_output.{kind}", (f"{here}.attention.o.{kind}",))
            yield Held(f"{there}.ffn_norm.{kind}", (f"{here}.feed_forward_norm.{kind}",))
            for one in ("up", "down"):
                yield Held(f"{there}.ffn_{one}.{kind}", (f"{here}.feed_forward.{one}.{kind}",))


def shapes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Of each tensor of the file, by name, as arrays have it: rows before columns. No weight is made for that."""
    one_layer = replace(shape, layers=1)  # all are alike
    model = outline(one_layer if shape.family == "gpt2" else replace(one_layer, context=1))
    state = model.state_dict()
    found: dict[str, tuple[int, ...]] = {}
    for one in held(shape):
        parts = [state[_NUMBER.sub("blocks.0.", name)] for name in one.parts]
        rows = sum(part.shape[0] for part in parts) or shape.head_width // 2
        found[one.name] = (rows, *(parts[0].shape[1:] if parts else ()))
    return found


def packed(one: Held, state: Mapping[str, Tensor], shape: Shape) -> npt.NDArray[np.float32]:
    """The tensor as the file holds it, in fp32."""
    if not one.parts:
        slower: npt.NDArray[np.float32] = (frequencies(replace(shape, scaling=None)) / frequencies(shape)).numpy()
        return slower
    parts = [state[name].detach().to("cpu", torch.float32) for name in one.parts]
    tensor = parts[0] if len(parts) == 1 else torch.cat(parts)
    if one.heads:
        tensor = tensor.view(one.heads, 2, -1, *tensor.shape[1:]).transpose(1, 2).reshape(tensor.shape)
    found: npt.NDArray[np.float32] = tensor.contiguous().numpy()
    return found


def unpacked(one: Held, numbers: npt.NDArray[np.float32]) -> dict[str, Tensor]:
    """The parameters that the tensor of a file holds."""
    tensor = torch.from_numpy(numbers)
    if one.heads:
        tensor = tensor.view(one.heads, -1, 2, *tensor.shape[1:]).transpose(1, 2).reshape(tensor.shape)
    return {name: part.contiguous() for name, part in zip(one.parts, tensor.chunk(max(1, len(one.parts))), strict=False)}
