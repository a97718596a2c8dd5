"""Search by meaning with a model of one's own: a folder that sentence-transformers can load.

The package is not part of an ordinary installation (extra `embed`), and no model is ever downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stages.retrieval.vectors import F32, unit
from storage.problem import Problem

Embedder = Callable[[Sequence[str]], F32]
"""Texts -> f32 [texts, D], rows of length 1."""

BATCH = 32


def load_embedder(folder: Path) -> Embedder:
    """Raises Problem where the package is missing or the folder holds no such model."""
    if not folder.is_dir():
        raise Problem(
            f"no folder {folder}; expected a model that sentence-transformers can load (modules.json, config.json, weights)"
        )
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise Problem(
            f"an embedding model was given ({folder}), and the package sentence-transformers is not installed. Install it: "
            "pip install -c constraints.txt 'winnow[embed]'; or give no model: vectors are then made from the corpus itself"
        ) from error
    try:
        model: Any = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    except Exception as error:  # transformers, safetensors, torch: each has errors of its own
        raise Problem(
            f"{folder} is no model that sentence-transformers can load: {type(error).__name__}: {error}. Expected a folder with "
            "modules.json, config.json, tokenizer and weights, as SentenceTransformer.save writes it"
        ) from error

    def embed(texts: Sequence[str]) -> F32:
        made = model.encode(list(texts), batch_size=BATCH, show_progress_bar=False, convert_to_numpy=True)
        return unit(np.asarray(made, np.float32))

    return embed
