"""What a pretraining is given, opened and held against each other: rows, tokenizer, settings, the model to go on from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from models.formats.pretrained import load_model, read_shape
from models.tokenizer.load import load
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.shape import Shape
from models.transformer.transformer import Transformer
from stages.pretraining.pretrain import PretrainConfig, shape_of
from stages.pretraining.start import DTYPES, fits, folder_of, named
from stages.stage import Input
from stages.tokens.rows import Rows
from stages.tokens.vocabulary import Vocabulary
from storage.problem import Problem


def open_rows(packed: Input, out: Path, config: PretrainConfig, known: Vocabulary) -> Rows:
    """The packed rows. Raises Problem where they are damaged, none, or of another tokenizer."""
    rows = Rows(packed, out / ".rows", config.mixture, config.seed)
    if rows.vocabulary != known.digest:
        raise Problem(
            f"the rows were packed with another tokenizer: vocabulary {rows.vocabulary}, found {known.digest}; tokenize and pack "
            "with the tokenizer that is given here"
        )
    if config.document_mask and known.tokenizer.start is None:
        raise Problem("document_mask is set, and the tokenizer has no token that begins a document; leave it out")
    return rows


def first_model(
    inputs: Mapping[str, Any], config: PretrainConfig, tokenizer: Tokenizer, row_length: int
) -> tuple[Transformer, str]:
    """With its first weights, and a name for these. Raises Problem where it does not suit the tokenizer or the rows."""
    compute = DTYPES[config.dtype]
    if "model" not in inputs:
        shape = shape_of(config, tokenizer.size, row_length)
        fits(shape, tokenizer, row_length)
        _trained_whole(shape, row_length)
        torch.manual_seed(config.seed)
        return Transformer(shape, compute), f"seed {config.seed}"
    folder = folder_of(inputs["model"])
    if config.shape.given:
        raise Problem(f"shape {config.shape.given} and a model to go on from are both given; expected one of them")
    fits(read_shape(folder), tokenizer, row_length)
    if load(folder).pieces()[: tokenizer.size] != tokenizer.pieces():
        raise Problem(
            f"the model in {folder} has another tokenizer than the one given; expected the tokens to be of the model's own"
        )
    torch.manual_seed(config.seed)
    model = load_model(folder, compute)
    return model, named(model)


def _trained_whole(shape: Shape, row_length: int) -> None:
    """Of a model that begins from nothing: positions that no row has would keep their random weights, or angles never seen."""
    if shape.context > row_length:
        raise Problem(
            f"the context {shape.context} is longer than any row, which has {row_length} tokens; leave shape.context out, or pack rows of "
            f"{shape.context} (pack.row_length)"
        )
