"""Shapes of published models, as their config.json has them, so that one can be reckoned with before it is downloaded."""

from collections.abc import Mapping
from dataclasses import replace

from models.transformer.shape import Experts, Llama3Scaling, Shape

_LLAMA_31 = Shape(
    vocab=128_256, width=4096, layers=32, heads=32, kv_heads=8, head_width=128, hidden=14_336, context=131_072, qk_norm=False, tied=False,
    eps=1e-5, theta=500_000.0, scaling=Llama3Scaling(8.0, 1.0, 4.0, 8192),
)  # fmt: skip
_LLAMA_32 = replace(_LLAMA_31, tied=True, scaling=Llama3Scaling(32.0, 1.0, 4.0, 8192))
_MISTRAL = replace(_LLAMA_31, vocab=32_768, context=32_768, theta=1e6, scaling=None)
_QWEN3 = Shape(vocab=151_936, width=1024, layers=28, heads=16, kv_heads=8, head_width=128, hidden=3072, context=40_960, theta=1e6)
_SMOL = Shape(
    vocab=49_152,
    width=576,
    layers=30,
    heads=9,
    kv_heads=3,
    head_width=64,
    hidden=1536,
    context=8192,
    qk_norm=False,
    eps=1e-5,
    theta=100_000.0,
)
_GPT2 = Shape(
    vocab=50_257,
    width=768,
    layers=12,
    heads=12,
    kv_heads=12,
    head_width=64,
    hidden=3072,
    context=1024,
    family="gpt2",
    qk_norm=False,
    eps=1e-5,
)


def _gpt2(width: int, layers: int) -> Shape:
    return replace(_GPT2, width=width, layers=layers, heads=width // 64, kv_heads=width // 64, hidden=4 * width)


PUBLISHED: Mapping[str, Shape] = {
    "gpt2": _GPT2,
    "gpt2-medium": _gpt2(1024, 24),
    "gpt2-large": _gpt2(1280, 36),
    "gpt2-xl": _gpt2(1600, 48),
    "smollm2-135m": _SMOL,
    "smollm2-360m": replace(_SMOL, width=960, layers=32, heads=15, kv_heads=5, hidden=2560),
    "smollm2-1.7b": replace(_SMOL, width=2048, layers=24, heads=32, kv_heads=32, hidden=8192, theta=130_000.0),
    "tinyllama-1.1b": Shape(
        vocab=32_000, width=2048, layers=22, heads=32, kv_heads=4, head_width=64, hidden=5632, context=2048, qk_norm=False, tied=False, eps=1e-5
    ),
    "llama-3.2-1b": replace(_LLAMA_32, width=2048, layers=16, head_width=64, hidden=8192),
    "llama-3.2-3b": replace(_LLAMA_32, width=3072, layers=28, heads=24, hidden=8192),
    "llama-3.1-8b": _LLAMA_31,
    "llama-3.1-70b": replace(_LLAMA_31, width=8192, layers=80, heads=64, hidden=28_672),
    "mistral-7b-v0.3": _MISTRAL,
    "mixtral-8x7b": replace(_MISTRAL, vocab=32_000, experts=Experts(count=8, active=2, hidden=14_336)),
    "qwen3-0.6b": _QWEN3,
    "qwen3-1.7b": replace(_QWEN3, width=2048, hidden=6144),
    "qwen3-4b": replace(_QWEN3, width=2560, layers=36, heads=32, hidden=9728),
    "qwen3-8b": replace(_QWEN3, width=4096, layers=36, heads=32, hidden=12_288, tied=False),
    "qwen3-14b": replace(_QWEN3, width=5120, layers=40, heads=40, hidden=17_408, tied=False),
    "qwen3-32b": replace(_QWEN3, width=5120, layers=64, heads=64, hidden=25_600, tied=False),
    "qwen3-30b-a3b": replace(
        _QWEN3, width=2048, layers=48, heads=32, kv_heads=4, hidden=6144, tied=False, experts=Experts(count=128, active=8, hidden=768)
    ),
}  # fmt: skip
