"""Machine code of loops over numbers, with the arithmetic that quantized files are defined by.

All numbers are fp32 and every operation rounds: sums run from the first to the last, products are not fused with sums, and x / 0
is what IEEE 754 says. So the bytes are the same on every machine, and those that ggml writes, which is compiled the same way."""

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Any:
    """`function` in machine code, made at its first call and kept beside its file."""
    return njit(cache=True, nogil=True, error_model="numpy")(function)
