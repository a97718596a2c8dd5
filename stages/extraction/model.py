"""The extraction model: boosted trees, and a card of what was known of them when they were made. A file of under 100 KB.

The file holds the names of its features, so that a model made for others is refused, and half-precision leaves and thresholds: the trees were
trained on features rounded to 63 steps, so finer figures would say nothing.
"""

import io
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from stages.extraction.features import NAMES
from stages.extraction.trees import Trees
from storage.problem import Problem

SHIPPED = Path(__file__).parent / "model.npz"
_FIELDS = {
    "starts": np.uint32, "depths": np.uint8, "feature": np.uint8, "threshold": np.float16, "child": np.uint8, "value": np.float16,
}  # fmt: skip


@dataclass(frozen=True)
class Model:
    trees: Trees
    card: dict[str, Any]


def save(model: Model) -> bytes:
    """The same bytes for the same model."""
    trees = model.trees
    relative = trees._replace(child=trees.child - _roots(trees.starts))
    arrays = {name: getattr(relative, name).astype(dtype) for name, dtype in _FIELDS.items()}
    for name, text in {"features": json.dumps(NAMES), "card": json.dumps(model.card, sort_keys=True)}.items():
        arrays[name] = np.frombuffer(text.encode(), np.uint8)
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


@lru_cache(maxsize=4)
def load(path: Path) -> Model:
    """Raises Problem for what is no model file, or one for other features."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in (*_FIELDS, "features", "card")}
        names, card = (json.loads(arrays[name].tobytes()) for name in ("features", "card"))
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise Problem(f"{path} is no extraction model that can be read: {error}; `winnow run extractor` makes one") from None
    if tuple(names) != NAMES:
        wrong = ", ".join(sorted(set(names) ^ set(NAMES))[:5]) or "another order"
        raise Problem(f"{path} was made for other features ({wrong}); make one for these: `winnow run extractor`")
    types = {"threshold": np.float32, "value": np.float32}
    trees = Trees(*(arrays[name].astype(types.get(name, np.uint32)) for name in _FIELDS))
    return Model(trees._replace(child=trees.child + _roots(trees.starts)), card)


def _roots(starts: np.ndarray) -> np.ndarray:
    """uint32[2 * nodes]: the root of the tree that each child belongs to, for the file counts from there."""
    return np.repeat(starts[:-1], 2 * np.diff(starts))
