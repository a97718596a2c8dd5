"""Shapes by name, all but two read off one dial: the depth.

From the depth L follow width (256 for every four layers, near the classic 12 x 768 and 24 x 1536), heads (64 wide, 128 from width
1024 on; half as many for keys and values) and the feed-forward network (8/3 of the width, as SwiGLU costs three matrices where GELU
costs two; Touvron et al. 2023). Every width into a matrix is a multiple of 256, the block of the K-quants of GGUF; `demo`, which is
too small for that, is the exception. A vocabulary or context of another size may be asked for: the tokenizer's, the rows'.

| preset | parameters at its own vocabulary | L x D | vocabulary | context |
|---|---|---|---|---|
| demo | 0.9 M | 4 x 128 | 1,024 | 256 |
| small | 6.8 M | 6 x 256 | 8,192 | 512 |
| small-moe | 22 M, 6.8 M active | 6 x 256, 3 of 16 experts | 8,192 | 512 |
| 35m | 34 M | 8 x 512 | 16,384 | 1,024 |
| 100m | 103 M | 12 x 768 | 32,768 | 1,024 |
| gpt2-124m | 124 M | 12 x 768 | 50,257 | 1,024 |
| 400m | 416 M | 20 x 1280 | 32,768 | 2,048 |
| 1.5b | 1,577 M | 32 x 2048 | 32,768 | 2,048 |
"""

from collections.abc import Mapping
from dataclasses import replace

from models.transformer.shape import Experts, Shape
from models.unusable import Unusable

BLOCK = 256


def of_depth(depth: int, vocab: int, context: int) -> Shape:
    """The dial; at least four layers."""
    if depth < 4:
        raise Unusable(f"a depth of {depth} layers; expected at least 4")
    width = BLOCK * (depth // 4)
    head_width = 128 if width >= 1024 else 64
    heads = width // head_width
    hidden = -(-width * 8 // (3 * BLOCK)) * BLOCK
    return Shape(
        vocab=vocab, width=width, layers=depth, heads=heads, kv_heads=heads // 2, head_width=head_width, hidden=hidden,
        context=context,
    )  # fmt: skip


_SMALL = of_depth(6, vocab=8192, context=512)

PRESETS: Mapping[str, Shape] = {
    "demo": Shape(vocab=1024, width=128, layers=4, heads=4, kv_heads=2, head_width=32, hidden=384, context=256),
    "small": _SMALL,
    # Three of sixteen experts of a third of the dense network each: the compute of `small`, five times its feed-forward weights.
    "small-moe": replace(_SMALL, experts=Experts(count=16, active=3, hidden=_SMALL.hidden // 3)),
    "35m": of_depth(8, vocab=16384, context=1024),
    "100m": of_depth(12, vocab=32768, context=1024),
    # Radford et al. 2019, the smallest of the four.
    "gpt2-124m": Shape(
        vocab=50257, width=768, layers=12, heads=12, kv_heads=12, head_width=64, hidden=3072, context=1024, family="gpt2",
        qk_norm=False, eps=1e-5,
    ),
    "400m": of_depth(20, vocab=32768, context=2048),
    "1.5b": of_depth(32, vocab=32768, context=2048),
}  # fmt: skip


def preset(name: str, vocab: int | None = None, context: int | None = None) -> Shape:
    """The shape of that name, with another vocabulary or context if given."""
    if name not in PRESETS:
        raise Unusable(f"no preset is called {name!r}; expected one of {', '.join(PRESETS)}")
    shape = PRESETS[name]
    return replace(shape, vocab=vocab or shape.vocab, context=context or shape.context)
