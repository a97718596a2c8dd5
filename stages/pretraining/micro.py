"""How many rows go through a model at once when nobody says: as many as fit a GPU, a few on a CPU, whose caches are small."""

import torch

from models.transformer.counting import parameters
from models.transformer.shape import Shape

CPU_TOKENS = 4096
SHARE = 0.6  # of a GPU's memory that activations may take beside weights, gradients and optimizer


def micro_rows(shape: Shape, row_length: int, device: torch.device) -> int:
    """A function of shape and device alone, so that a resumed run cuts its steps as before."""
    if device.type == "cpu":
        return max(1, CPU_TOKENS // row_length)
    memory = torch.cuda.get_device_properties(device).total_memory
    free = memory - 18 * parameters(shape).total  # fp32 weights, gradients, two moments; a copy of the weights in 16 bits
    return max(1, int(SHARE * free) // (row_length * bytes_per_token(shape)))


def bytes_per_token(shape: Shape) -> int:
    """Of activations that are kept for the backward pass, in 16-bit types, as measured on models of each kind."""
    attention = 6 * shape.width + 5 * shape.heads * shape.head_width
    if shape.experts is not None:
        feed_forward = shape.experts.active * (4 * shape.experts.hidden + 3 * shape.width)
    else:
        feed_forward = (2 if shape.family == "gpt2" else 4) * shape.hidden
    return 2 * shape.layers * (attention + feed_forward) + 12 * shape.width
