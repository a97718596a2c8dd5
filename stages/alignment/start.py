"""How a training on preferences begins and ends: the model that is given, with adapters or without, and its folder."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from models.chat.template import save_template
from models.formats.pretrained import load_model, save_model
from models.tokenizer.roles import is_winnow
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.lora import Lora, adapt
from models.transformer.transformer import Transformer
from models.transformer.world import World
from stages.compute import Compute
from stages.posttraining.fine_tuning import Moves
from stages.pretraining.start import DTYPES, fits, folder_of, named
from stages.stage import Input
from stages.tokens.vocabulary import Vocabulary, vocabulary
from storage.problem import Problem


def begun(given: Input | Path, config: Moves, compute: Compute, world: World) -> tuple[Transformer, Vocabulary, str]:
    """The model on its device, its tokenizer, and a name for its weights. Raises Problem and Unusable."""
    if compute.compile:
        raise Problem(
            "compute.compile is set, and pairs have another length in each step, which would be compiled each time; leave it out"
        )
    known = vocabulary(given)
    model = load_model(folder_of(given), DTYPES[config.dtype])
    fits(model.shape, known.tokenizer, 1)
    name = f"{named(model)}, {model.shape}"
    torch.manual_seed(config.seed)
    if config.lora is not None:
        adapt(model, Lora(config.lora.rank, config.lora.alpha, config.lora.targets))
    model.to(world.device)
    return model, known, name


def balance(model: Transformer, count: int, positions: int) -> Tensor | None:
    """The load balance of the experts in the last forward pass over `positions`, as a sum over `count` pairs; None without experts."""
    return None if model.shape.experts is None else model.balance() * (count / positions)


def written(out: Path, model: Transformer, tokenizer: Tokenizer) -> None:
    """The model's folder, a Hugging Face folder. Adapters must have been merged."""
    save_model(model, out, start=tokenizer.start, stops=tokenizer.stops, pad=tokenizer.pad)
    tokenizer.save(out)
    if is_winnow(tokenizer.special):
        save_template(out)
