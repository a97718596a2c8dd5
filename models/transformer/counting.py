"""What a shape costs: parameters and floating-point operations.

| count | meaning |
|---|---|
| total | parameters; a tied output matrix once |
| active | those that one token meets: of the experts only the chosen |
| embedding | of them, in tables that are looked up: tokens, positions |
| flops_per_token | of one training token (forward and backward) in a row of T: 6 N + 12 L H C T |

N are the active parameters that multiply: every matrix, the output matrix also where it is the embedding; no looked-up table, no
norm. The second term is attention's two products as PaLM counts them, over the whole row: half of them are masked (Chowdhery et al.
2022, appendix B; Hoffmann et al. 2022, appendix F). So MFU = flops_per_token * tokens per second / the peak of the device.
"""

from dataclasses import dataclass

from models.transformer.shape import Shape


@dataclass(frozen=True)
class Parameters:
    total: int
    active: int
    embedding: int


def parameters(shape: Shape) -> Parameters:
    gpt2 = shape.family == "gpt2"
    D, C, inner, outer = shape.width, shape.head_width, shape.heads * shape.head_width, shape.kv_heads * shape.head_width
    norm = 2 * D if gpt2 else D
    biases = inner + 2 * outer + D + shape.hidden + D if gpt2 else 0
    layer = _attention(shape) + 2 * norm + biases + (2 * C if shape.qk_norm else 0)
    embedding = shape.vocab * D + (shape.context * D if gpt2 else 0)
    beside = embedding + norm + (0 if shape.tied else shape.vocab * D)
    return Parameters(
        total=shape.layers * (layer + _feed_forward(shape, active=False)) + beside,
        active=shape.layers * (layer + _feed_forward(shape, active=True)) + beside,
        embedding=embedding,
    )


def flops_per_token(shape: Shape, context: int | None = None) -> int:
    """Of training with rows of `context` tokens, the shape's own if not given; a forward pass alone is a third of it."""
    multiplied = shape.layers * (_attention(shape) + _feed_forward(shape, active=True)) + shape.vocab * shape.width
    return 6 * multiplied + 12 * shape.layers * shape.heads * shape.head_width * (context or shape.context)


def _attention(shape: Shape) -> int:
    return 2 * shape.width * (shape.heads + shape.kv_heads) * shape.head_width


def _feed_forward(shape: Shape, active: bool) -> int:
    """Matrices alone, the router's among them."""
    if shape.experts is None:
        return (2 if shape.family == "gpt2" else 3) * shape.width * shape.hidden
    experts = shape.experts
    return experts.count * shape.width + 3 * shape.width * experts.hidden * (experts.active if active else experts.count)
