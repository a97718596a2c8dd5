"""Memory reckoned from a shape."""

from dataclasses import replace

import pytest
import torch

from models.quantization.footprint import QUANTS, cache_bytes, compute_bytes, contents, training_bytes, weight_bytes
from models.quantization.mixture import FILE_TYPES
from models.transformer.cache import Cache
from models.transformer.counting import parameters
from models.transformer.presets import PRESETS
from models.transformer.published import PUBLISHED

EIGHT = PUBLISHED["llama-3.1-8b"]


def test_llama_3_1_8b_is_as_large_as_it_is_published() -> None:
    assert weight_bytes(EIGHT, "Q4_K_M") / 1e9 == pytest.approx(4.92, abs=0.02)
    assert weight_bytes(EIGHT, "Q8_0") / 1e9 == pytest.approx(8.54, abs=0.02)
    assert weight_bytes(EIGHT, "Q6_K") / 1e9 == pytest.approx(6.6, abs=0.02)
    assert weight_bytes(EIGHT, "F16") / 1e9 == pytest.approx(16.07, abs=0.02)


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("gpt2", 0.124), ("gpt2-xl", 1.558), ("smollm2-135m", 0.1345), ("smollm2-360m", 0.362), ("smollm2-1.7b", 1.711), ("tinyllama-1.1b", 1.1),
        ("llama-3.2-1b", 1.236), ("llama-3.2-3b", 3.213), ("llama-3.1-8b", 8.03), ("llama-3.1-70b", 70.55), ("mistral-7b-v0.3", 7.248),
        ("mixtral-8x7b", 46.7), ("qwen3-0.6b", 0.596), ("qwen3-1.7b", 1.72), ("qwen3-4b", 4.02), ("qwen3-8b", 8.19), ("qwen3-14b", 14.77),
        ("qwen3-32b", 32.76), ("qwen3-30b-a3b", 30.53), ("gpt2-medium", 0.355), ("gpt2-large", 0.774),
    ],
)  # fmt: skip
def test_published_shapes_have_as_many_parameters_as_is_said(name: str, billions: float) -> None:
    assert parameters(PUBLISHED[name]).total / 1e9 == pytest.approx(billions, rel=0.005)


def test_numbers_of_all_tensors_are_those_of_the_parameters() -> None:
    for name in ("demo", "small", "small-moe", "gpt2-124m"):
        shape = PRESETS[name]
        assert sum(one.numbers for one in contents(shape, "F32")) == parameters(shape).total
        sizes = [weight_bytes(shape, quant) for quant in FILE_TYPES if quant != "BF16"]
        assert sizes == sorted(sizes, reverse=True)
    assert set(QUANTS) > set(FILE_TYPES)
    assert weight_bytes(EIGHT, "int4") / 1e9 == pytest.approx(6.98e9 * 4.125 / 8 / 1e9 + 2.1, abs=0.05)


def test_keys_and_values_take_what_the_engine_takes() -> None:
    shape = replace(PRESETS["small"], context=128)
    cache = Cache(shape, 3, 128, torch.float16, torch.device("cpu"))
    held = sum(one.numel() * one.element_size() for one in (cache.k_LBKSC, cache.v_LBKSC))
    assert cache_bytes(shape, 128, 3, "f16") == held
    assert cache_bytes(shape, 128, 3, "q8_0") * 32 == cache_bytes(shape, 128, 3, "f16") * 17


def test_llama_cpp_reserves_as_much_for_computing() -> None:
    assert compute_bytes(replace(EIGHT, context=8192), 8192) / 2**20 == pytest.approx(258.5, abs=0.1)


def test_training_takes_more_with_more_rows_and_with_adamw() -> None:
    small = PRESETS["small"]
    one, two = training_bytes(small, 8, 512), training_bytes(small, 16, 512)
    assert 8 * parameters(small).total < one < two < 2 * one
    assert training_bytes(small, 8, 512, "adamw") > one
