"""How a training begins, whatever its method: a machine that computes exactly, the model that is given, and a name for its weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from models.tokenizer.tokenizer import Tokenizer
from models.transformer.shape import Shape
from models.transformer.transformer import Transformer
from stages.compute import Compute
from stages.stage import Input
from storage.canonical import digest
from storage.problem import Problem

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


def exact(compute: Compute) -> None:
    """The number of threads, and the same sums each time."""
    torch.set_num_threads(compute.threads_each)  # the environment alone is held to the number of cores
    deterministic(compute)
    torch.utils.deterministic.fill_uninitialized_memory = False  # nothing here reads what it has not written


def deterministic(compute: Compute) -> None:
    """The same sums each time, on the same device with the same threads."""
    if compute.compile:
        torch.use_deterministic_algorithms(True)
    else:
        torch.set_deterministic_debug_mode("error")  # the same without the compiler, whose import takes a second


def compiled(model: Transformer) -> None:
    """Layer by layer, which are alike: one compilation serves all. Raises Problem without a compiler."""
    if model.embedding.weight.device.type == "cpu" and not any(map(shutil.which, ("g++", "c++", "clang++"))):
        raise Problem(
            "compute.compile is set, and no C++ compiler (g++) was found, which torch.compile needs on a CPU; install one or leave it out"
        )
    for block in model.blocks:
        block.compile(dynamic=False)


def folder_of(given: Input | Path) -> Path:
    return given if isinstance(given, Path) else given.folder


def named(model: Transformer) -> str:
    """A name for the weights that a model begins with."""
    return "weights " + digest({name: float(weight.double().sum()) for name, weight in model.state_dict().items()}, 16)


def fits(shape: Shape, tokenizer: Tokenizer, row_length: int) -> None:
    """Raises Problem where the model has no place for the tokens or the rows."""
    if shape.vocab < tokenizer.size:
        raise Problem(
            f"the tokenizer has {tokenizer.size} tokens, the model's vocabulary is {shape.vocab}; expected no fewer. Leave shape.vocab out or "
            "train a smaller tokenizer"
        )
    if shape.context < row_length:
        raise Problem(
            f"the rows are {row_length} tokens long, the model's context is {shape.context}; expected rows that fit: pack shorter ones"
        )
