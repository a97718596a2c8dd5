"""Where each of a model's weights lies in a Hugging Face folder: one `Foreign` per tensor of the file.

Two things differ beside names: GPT-2 stores its matrices as [in, out] and fuses q, k and v; experts are separate tensors there
and one tensor [E, ...] here.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from models.formats.configuration import Architecture
from models.transformer.shape import Shape


@dataclass(frozen=True)
class Foreign:
    name: str
    """In the file."""
    parts: tuple[str, ...]
    """Parameters of `Transformer` that it holds, one below the other."""
    transposed: bool = False
    expert: int | None = None
    """Which row of the parameter's first dimension it is."""


def foreign_tensors(shape: Shape, architecture: Architecture) -> list[Foreign]:
    """In the order of the model. A tied output matrix is not among them."""
    tensors = _gpt2(shape) if architecture == "gpt2" else _llama(shape, architecture)
    return [*tensors, *([] if shape.tied else [Foreign("lm_head.weight", ("output.weight",))])]


def _llama(shape: Shape, architecture: Architecture) -> Iterator[Foreign]:
    yield Foreign("model.embed_tokens.weight", ("embedding.weight",))
    for layer in range(shape.layers):
        there, here = f"model.layers.{layer}", f"blocks.{layer}"
        yield Foreign(f"{there}.input_layernorm.weight", (f"{here}.attention_norm.weight",))
        for one in "qkvo":
            yield Foreign(f"{there}.self_attn.{one}_proj.weight", (f"{here}.attention.{one}.weight",))
        if shape.qk_norm:
            for one in "qk":
                yield Foreign(f"{there}.self_attn.{one}_norm.weight", (f"{here}.attention.{one}_norm.weight",))
        yield Foreign(f"{there}.post_attention_layernorm.weight", (f"{here}.feed_forward_norm.weight",))
        if shape.experts is None:
            for one in ("gate", "up", "down"):
                yield Foreign(f"{there}.mlp.{one}_proj.weight", (f"{here}.feed_forward.{one}.weight",))
            continue
        mixtral = architecture == "mixtral"
        inside = f"{there}.block_sparse_moe" if mixtral else f"{there}.mlp"
        yield Foreign(f"{inside}.gate.weight", (f"{here}.feed_forward.router.weight",))
        for expert in range(shape.experts.count):
            for one, numbered in (("gate", "w1"), ("up", "w3"), ("down", "w2")):
                name = numbered if mixtral else f"{one}_proj"
                yield Foreign(f"{inside}.experts.{expert}.{name}.weight", (f"{here}.feed_forward.{one}",), expert=expert)
    yield Foreign("model.norm.weight", ("norm.weight",))


def _gpt2(shape: Shape) -> Iterator[Foreign]:
    yield Foreign("transformer.wte.weight", ("embedding.weight",))
    yield Foreign("transformer.wpe.weight", ("positions.weight",))
    for layer in range(shape.layers):
        there, here = f"transformer.h.{layer}", f"blocks.{layer}"
        for kind in ("weight", "bias"):
            turned = kind == "weight"
            fused = tuple(f"{here}.attention.{one}.{kind}" for one in "qkv")
            yield Foreign(f"{there}.ln_1.{kind}", (f"{here}.attention_norm.{kind}",))
            yield Foreign(f"{there}.attn.c_attn.{kind}", fused, turned)
            yield Foreign(f"{there}.attn.c_proj.{kind}", (f"{here}.attention.o.{kind}",), turned)
            yield Foreign(f"{there}.ln_2.{kind}", (f"{here}.feed_forward_norm.{kind}",))
            yield Foreign(f"{there}.mlp.c_fc.{kind}", (f"{here}.feed_forward.up.{kind}",), turned)
            yield Foreign(f"{there}.mlp.c_proj.{kind}", (f"{here}.feed_forward.down.{kind}",), turned)
    yield Foreign("transformer.ln_f.weight", ("norm.weight",))
    yield Foreign("transformer.ln_f.bias", ("norm.bias",))
