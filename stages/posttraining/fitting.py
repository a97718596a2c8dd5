"""A training by the settings that every method after pretraining has: optimizers, checkpoints and the loop, put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from models.transformer.checkpoint import Checkpoints
from models.transformer.optimizer import optimizers
from models.transformer.schedule import Schedule
from models.transformer.train import Method, Plan, Row, train
from models.transformer.world import World
from stages.compute import Compute
from stages.posttraining.fine_tuning import Moves
from stages.pretraining.progress import Progress
from stages.pretraining.start import DTYPES

CHECKPOINTS = ".checkpoints"


def fit(
    model: nn.Module,
    method: Method,
    schedule: Schedule,
    made_of: Mapping[str, str],
    out: Path,
    config: Moves,
    compute: Compute,
    world: World,
    progress: Progress,
    samples: Callable[[], Sequence[Mapping[str, Any]]] = lambda: (),
) -> list[Row]:
    """Move `model`, from its last checkpoint in `out` where there is one; rank 0 gets all rows. `made_of`: what a checkpoint is made of."""
    found = optimizers(
        model,
        config.optimizer or ("muon" if config.lora is None else "adamw"),
        matrix_rate=config.matrix_rate,
        rate=config.rate,
        embedding_rate=config.embedding_rate,
        weight_decay=config.weight_decay,
        compute=DTYPES[config.dtype],
    )
    checkpoints = Checkpoints(out / CHECKPOINTS, made_of, compute.checkpoint_steps, compute.checkpoint_seconds)
    plan = Plan(schedule, config.clip, config.spike)
    return train(model, method, found, plan, world, checkpoints, progress.watcher(world.rank, samples))
