"""What a stage that trained a model reports of it. Without the clock's figures: a snapshot holds them."""

from collections.abc import Sequence
from typing import Any

import torch

from models.transformer.counting import parameters
from models.transformer.shape import Shape
from models.transformer.train import Row
from models.transformer.world import World
from stages.compute import Compute

NAMES = ("loss", "validation_loss", "bits_per_byte", "perplexity", "expert_entropy")


def figures(shape: Shape, rows: Sequence[Row], compute: Compute, world: World, names: Sequence[str] = NAMES) -> dict[str, Any]:
    """Of the metrics `names`, the newest."""
    last = {name: value for row in rows for name, value in row.items()}
    counted = parameters(shape)
    return {
        "parameters": counted.total,
        "active_parameters": counted.active,
        "steps": int(last["step"]),
        "tokens": int(last["tokens"]),
        **{name: last[name] for name in names if name in last},
        "computed_on": f"{world.device.type}, {world.size} x {compute.threads_each} threads, torch {torch.__version__}",
    }
