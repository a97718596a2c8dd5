"""A matrix as the bytes of a GGUF tensor, and back.

In: fp32 [..., rows, columns] and a kind; for the K-quants and the small blocks, if known, the importance of each column (mean
square of what it is multiplied by), for a stack of matrices [experts, columns]. Out: uint8 [..., rows, bytes of a row]:

| kind | numbers in a block | bits a number |
|---|---|---|
| F32, F16, BF16 | 1 | 32, 16, 16 |
| Q8_0 | 32 | 8.5 |
| Q5_1, Q5_0, Q4_1, Q4_0 | 32 | 6, 5.5, 5, 4.5 |
| Q6_K, Q5_K, Q4_K | 256 | 6.5625, 5.5, 4.5 |

Bytes equal ggml's (small_blocks.py, super_blocks.py).
"""

from typing import Literal, get_args

import gguf
import numpy as np
import numpy.typing as npt

from models.quantization import small_blocks, super_blocks
from models.unusable import Unusable

Kind = Literal["F32", "F16", "BF16", "Q8_0", "Q5_1", "Q5_0", "Q4_1", "Q4_0", "Q6_K", "Q5_K", "Q4_K"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


def block(kind: Kind) -> tuple[int, int]:
    """Numbers and bytes of a block."""
    numbers, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    return numbers, size


def row_bytes(kind: Kind, columns: int) -> int:
    numbers, size = block(kind)
    if columns % numbers:
        raise Unusable(f"a row of {columns} numbers in blocks of {numbers} ({kind}); expected a multiple")
    return columns // numbers * size


def quantize(matrix: Floats, kind: Kind, importance: Floats | None = None) -> Bytes:
    """Raises Unusable where numbers are not finite or rows do not divide into blocks."""
    size = row_bytes(kind, matrix.shape[-1])
    if not np.isfinite(matrix).all():
        raise Unusable("a matrix holds numbers that are not finite; expected the weights of a sound model")
    matrix = np.ascontiguousarray(matrix, np.float32)
    if importance is not None and matrix.ndim == 3:
        pieces = [_quantize(one, kind, np.ascontiguousarray(mine)) for one, mine in zip(matrix, importance, strict=True)]
        return np.stack([piece.reshape(-1, size) for piece in pieces])
    rows = matrix.reshape(-1, matrix.shape[-1])
    return _quantize(rows, kind, None if importance is None else importance.reshape(-1)).reshape(*matrix.shape[:-1], size)


def _quantize(rows_RW: Floats, kind: Kind, importance_W: Floats | None) -> Bytes:
    match kind:
        case "F32":
            return rows_RW.view(np.uint8)
        case "F16":
            with np.errstate(over="ignore"):
                return rows_RW.astype(np.float16).view(np.uint8)
        case "BF16":
            return _bfloat16(rows_RW)
        case "Q8_0":
            return small_blocks.q8_0(rows_RW)
        case "Q4_0" | "Q5_0":
            return small_blocks.scaled(rows_RW, importance_W, int(kind[1]))
        case "Q4_1" | "Q5_1":
            return small_blocks.shifted(rows_RW, importance_W, int(kind[1]))
        case "Q4_K":
            return super_blocks.q4_k(rows_RW.reshape(-1, 256), importance_W)
        case "Q5_K":
            return super_blocks.q5_k(rows_RW.reshape(-1, 256), importance_W)
        case "Q6_K":
            return super_blocks.q6_k(rows_RW.reshape(-1, 256), importance_W)


def _bfloat16(rows_RW: Floats) -> Bytes:
    bits = rows_RW.view(np.uint32)
    return ((bits + (0x7FFF + (bits >> 16 & 1))) >> 16).astype(np.uint16).view(np.uint8)


def dequantize(data: Bytes, kind: Kind) -> Floats:
    """fp32 [..., rows, columns], a copy."""
    numbers: Floats = gguf.dequantize(data, gguf.GGMLQuantizationType[kind])
    return np.array(numbers, np.float32)
