"""How much memory a model takes, reckoned from its shape alone.

| part | bytes |
|---|---|
| weights | of every tensor of the GGUF file, by its kind; exact. int4, int8: levels and fp16 scales by 128, the rest fp16 |
| cache | keys and values: 2 * layers * key-value heads * head width * context * rows, in blocks of 32 of their kind; exact |
| compute | what llama.cpp reserves for `BATCH` tokens with flash attention: a layer's input and their logits, or what is inside a layer |
| training | weights, gradients and optimizer in fp32, and what the backward pass keeps of the rows that go through at once; an estimate |

Source of `compute`: what llama.cpp logs of Llama 3 8B (258.5 MiB) and the order of its graph.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal, cast, get_args

from models.formats.gguf_names import shapes
from models.quantization.blocks import Kind, row_bytes
from models.quantization.mixture import FILE_TYPES, FileType, kinds
from models.transformer.counting import parameters
from models.transformer.optimizer import APART
from models.transformer.shape import Shape

Integers = Literal["int8", "int4"]
Quant = FileType | Integers
QUANTS: tuple[str, ...] = (*FILE_TYPES, *get_args(Integers))
CacheKind = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"]
CACHE_KINDS: Mapping[str, Kind] = {
    "f32": "F32", "f16": "F16", "bf16": "BF16", "q8_0": "Q8_0", "q5_1": "Q5_1", "q5_0": "Q5_0", "q4_1": "Q4_1", "q4_0": "Q4_0",
}  # fmt: skip
BATCH = 512
"""Tokens of a prompt that llama.cpp computes at once."""
GROUP = 128


@dataclass(frozen=True)
class Stored:
    tensor: str
    kind: str
    numbers: int
    bytes: int


def contents(shape: Shape, file_type: FileType, importance: bool = False) -> list[Stored]:
    """Each tensor of a GGUF file."""
    tensors = shapes(shape)
    found = kinds(tensors, file_type, shape.experts.count if shape.experts else 0, importance)
    return [
        Stored(name, found[name], prod(size), prod(size[:-1]) * row_bytes(found[name], size[-1]))
        for name, size in tensors.items()
    ]


def weight_bytes(shape: Shape, quant: str) -> int:
    if quant not in get_args(Integers):
        return sum(one.bytes for one in contents(shape, cast(FileType, quant)))
    bits = int(quant.removeprefix("int"))
    total = 0
    for name, size in shapes(shape).items():
        inside = name.startswith("blk.") and len(size) > 1 and "gate_inp" not in name
        total += prod(size) * bits // 8 + prod(size[:-1]) * -(-size[-1] // GROUP) * 2 if inside else 2 * prod(size)
    return total


def cache_bytes(shape: Shape, context: int, rows: int, kind: str) -> int:
    return 2 * shape.layers * context * rows * row_bytes(CACHE_KINDS[kind], shape.kv_heads * shape.head_width)


def compute_bytes(shape: Shape, context: int) -> int:
    tokens = min(BATCH, context)
    hidden = shape.hidden if shape.experts is None else shape.experts.active * shape.experts.hidden
    return 4 * tokens * (shape.width + max(shape.vocab, 2 * hidden + shape.heads * shape.head_width))


def training_bytes(shape: Shape, rows: int, length: int, optimizer: Literal["muon", "adamw"] = "muon", width: int = 2) -> int:
    """`rows` of `length` tokens at once; `width`: bytes of a number on the way (2: bf16)."""
    count = parameters(shape)
    inside = count.total - count.embedding - (0 if shape.tied else shape.vocab * shape.width)
    state = 4 * (inside + 2 * (count.total - inside)) if optimizer == "muon" else 8 * count.total
    assert "embedding" in APART
    inner, outer = shape.heads * shape.head_width, shape.kv_heads * shape.head_width
    hidden = shape.hidden if shape.experts is None else shape.experts.active * shape.experts.hidden
    kept = 6 * shape.width + 3 * inner + 3 * outer + shape.heads * length // 2 + 4 * hidden
    logits = 4 * 2 * min(rows * length, 1024) * shape.vocab
    return 8 * count.total + state + rows * length * shape.layers * kept * width + logits
