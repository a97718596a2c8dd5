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
    free = memory - 16 * parameters(shape).total  # fp32: weights, gradients, two moments
    return max(1, int(SHARE * free) // (row_length * bytes_per_token(shape)))


def bytes_per_token(shape: Shape) -> int:
    """Of activations kept for the backward pass, in 16-bit types: what each operation of a layer keeps of its inputs, roughly."""
    inner = shape.heads * shape.head_width
    hidden = shape.hidden if shape.experts is None else shape.experts.active * shape.experts.hidden
    layer = 2 * (8 * shape.width + 8 * inner + 5 * hidden)
    return shape.layers * layer + 12 * shape.width
