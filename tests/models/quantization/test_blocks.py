"""Matrices as the bytes of GGUF tensors."""

import gguf
import numpy as np
import pytest

from models.quantization.blocks import KINDS, Kind, block, dequantize, quantize, row_bytes
from models.unusable import Unusable

ROOM: dict[str, float] = {  # root mean square of the error over that of the numbers, of normally distributed ones
    "F32": 0, "F16": 3e-4, "BF16": 3e-3, "Q8_0": 0.006, "Q5_1": 0.045, "Q5_0": 0.05, "Q4_1": 0.09, "Q4_0": 0.1, "Q6_K": 0.025, "Q5_K": 0.045,
    "Q4_K": 0.085,
}  # fmt: skip


def numbers(rows: int = 12, columns: int = 512) -> np.ndarray:
    drawn: np.ndarray = np.random.default_rng(7).standard_normal((rows, columns)).astype(np.float32)
    return drawn


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_back_is_near_and_of_the_promised_size(kind: Kind) -> None:
    given = numbers()
    data = quantize(given, kind)
    assert data.shape == (12, row_bytes(kind, 512))
    back = dequantize(data, kind)
    error = float(np.sqrt(((back - given) ** 2).mean()))
    assert error <= ROOM[kind]
    assert error >= ROOM[kind] / 3


@pytest.mark.parametrize("kind", ["Q8_0", "Q5_1", "Q4_1"])  # its Q4_0 and Q5_0 round as a fused multiply-add does
def test_without_importance_the_bytes_are_those_of_the_gguf_package(kind: Kind) -> None:
    given = numbers()
    given[3], given[4, :32], given[5] = 0, -0.0, 1
    given[6] *= 1e-30
    given[7, ::3] = 0.5
    assert np.array_equal(quantize(given, kind), gguf.quantize(given, gguf.GGMLQuantizationType[kind]))


@pytest.mark.parametrize("kind", ["Q4_K", "Q5_K", "Q6_K", "Q4_0", "Q5_0", "Q4_1", "Q5_1"])
def test_columns_that_count_come_back_nearer(kind: Kind) -> None:
    given = numbers(64)
    importance = np.full(512, 1e-3, np.float32)
    importance[::16] = 10
    plain, aimed = (dequantize(quantize(given, kind, wanted), kind) for wanted in (None, importance))
    assert ((aimed - given) ** 2 * importance).sum() < 0.7 * ((plain - given) ** 2 * importance).sum()


def test_each_expert_has_an_importance_of_its_own() -> None:
    given = numbers(6).reshape(2, 3, 512)
    importance = np.random.default_rng(1).random((2, 512), np.float32)
    both = quantize(given, "Q4_K", importance)
    assert both.shape == (2, 3, 288)
    assert all(np.array_equal(both[one], quantize(given[one], "Q4_K", importance[one])) for one in range(2))


def test_extreme_rows_stay_what_they_are() -> None:
    given = np.zeros((4, 256), np.float32)
    given[1] = 3
    given[2] = -3
    given[3, 17] = 1e4
    for kind in KINDS:
        back = dequantize(quantize(given, kind), kind)
        assert (back[0] == 0).all(), kind
        assert np.allclose(back[1:3], given[1:3], rtol=0.02), kind
        assert np.isclose(back[3, 17], 1e4, rtol=0.01), kind


def test_rows_that_do_not_divide_into_blocks_and_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(Unusable, match="a row of 96 numbers in blocks of 256"):
        quantize(np.zeros((2, 96), np.float32), "Q4_K")
    with pytest.raises(Unusable, match="not finite"):
        quantize(np.full((2, 256), np.nan, np.float32), "Q4_K")


def test_blocks_have_the_sizes_of_the_format() -> None:
    assert [8 * size / count for count, size in map(block, ("Q8_0", "Q6_K", "Q5_K", "Q4_K", "Q4_0"))] == [
        8.5,
        6.5625,
        5.5,
        4.5,
        4.5,
    ]
