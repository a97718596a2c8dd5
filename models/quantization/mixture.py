"""Which kind each tensor of a GGUF file gets: a file type is a mixture, with more bits where they help most.

In: the tensors' GGUF names and shapes ([..., rows, columns]), the file type, the number of experts, whether importance is known.
Out: name -> kind. The rules are llama.cpp's (src/llama-quant.cpp), for the file types and architectures of this project:

| tensor | kind |
|---|---|
| one dimension, norms, routers, positions | F32 |
| output, or the embedding where it is also the output | Q6_K, but Q8_0 in a Q8_0 file and where rows do not divide into blocks |
| attn_v (GPT-2: attn_qkv), ffn_down, of layers that count more (`_more`) | Q6_K in Q4_K_M and Q5_K_M |
| attn_v of the first 4 layers, ffn_down of the first eighth | Q5_K in Q4_K_S |
| ffn_down of the first eighth | Q4_1 in Q4_0, with importance |
| attn_v of Llama's 80 layers with grouped heads | Q5_K where it were Q4_K |
| 8 experts | attn_v and attn_k Q8_0, attn_output Q5_K in Q4_K_S and Q4_K_M |
| everything else | the file type's own |

Where a row does not divide into 256, Q4_K becomes Q5_0, Q5_K Q5_1 and Q6_K Q8_0; where not into 32, F16.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from models.quantization.blocks import Kind, block

FileType = Literal["F32", "F16", "BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q4_K_M", "Q4_K_S", "Q4_0"]
FILE_TYPES: tuple[FileType, ...] = get_args(FileType)
"""From the largest to the smallest."""

_OWN: Mapping[FileType, Kind] = {
    "F32": "F32", "F16": "F16", "BF16": "BF16", "Q8_0": "Q8_0", "Q6_K": "Q6_K", "Q5_K_M": "Q5_K", "Q5_K_S": "Q5_K", "Q4_K_M": "Q4_K",
    "Q4_K_S": "Q4_K", "Q4_0": "Q4_0",
}  # fmt: skip
_SMALLER_BLOCKS: Mapping[Kind, Kind] = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
_LAYER = re.compile(r"blk\.(\d+)\.(.+)\.weight")
Shape = Sequence[int]


@dataclass(frozen=True)
class _Model:
    layers: int
    tied: bool
    experts: int
    importance: bool
    is_70b: bool


def kinds(tensors: Mapping[str, Shape], file_type: FileType, experts: int = 0, importance: bool = False) -> dict[str, Kind]:
    layers = 1 + max((int(found[1]) for found in map(_LAYER.fullmatch, tensors) if found), default=-1)
    model = _Model(layers, "output.weight" not in tensors, experts, importance, _is_70b(tensors, layers))
    own = _OWN[file_type]
    found: dict[str, Kind] = {}
    for name, shape in tensors.items():
        if not quantizable(name, shape):
            found[name] = "F32"
        elif file_type in ("F32", "F16", "BF16"):
            found[name] = own
        else:
            found[name] = _fitting(_wanted(name, shape, file_type, model), shape[-1])
    return found


def quantizable(name: str, shape: Shape) -> bool:
    """Whether a tensor is ever anything else than F32."""
    kept = name.endswith("_norm.weight") or ".ffn_gate_inp." in name or name == "position_embd.weight"
    return math.prod(shape[:-1]) > 1 and name.endswith(".weight") and not kept


def _is_70b(tensors: Mapping[str, Shape], layers: int) -> bool:
    v, q = tensors.get("blk.0.attn_v.weight", (0,)), tensors.get("blk.0.attn_q.weight", (0,))
    return layers == 80 and v[0] < q[0] and "blk.0.attn_q_norm.weight" not in tensors


def _wanted(name: str, shape: Shape, file_type: FileType, model: _Model) -> Kind:
    own = _OWN[file_type]
    if name == "output.weight" or (model.tied and name == "token_embd.weight"):
        return "Q8_0" if own == "Q8_0" or shape[-1] % block(own)[0] else "Q6_K"
    found = _LAYER.fullmatch(name)
    if found is None:
        return own
    layer, part = int(found[1]), found[2].removesuffix("_exps")
    if model.experts == 8 and part in ("attn_v", "attn_k"):
        return "Q8_0"
    if model.experts == 8 and part == "attn_output" and file_type in ("Q4_K_S", "Q4_K_M"):
        return "Q5_K"
    if part in ("attn_v", "attn_qkv", "ffn_down") and file_type in ("Q4_K_M", "Q5_K_M") and _more(layer, model.layers):
        return "Q6_K"
    if file_type == "Q4_K_S" and (
        (part in ("attn_v", "attn_qkv") and layer < 4) or (part == "ffn_down" and layer < model.layers // 8)
    ):
        return "Q5_K"
    if file_type == "Q4_0" and model.importance and part == "ffn_down" and layer < model.layers // 8:
        return "Q4_1"
    return "Q5_K" if model.is_70b and own == "Q4_K" and part == "attn_v" else own


def _more(layer: int, layers: int) -> bool:
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


def _fitting(kind: Kind, columns: int) -> Kind:
    if columns % block(kind)[0] == 0:
        return kind
    smaller = _SMALLER_BLOCKS.get(kind, kind)
    return smaller if columns % block(smaller)[0] == 0 else "F16"
