"""A tokenizer as a stage is given it: opened once a worker, and known by a digest of what its ids stand for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from models.tokenizer.load import load
from models.tokenizer.tokenizer import Tokenizer
from stages.stage import Input
from storage.problem import Problem


@dataclass(frozen=True)
class Vocabulary:
    tokenizer: Tokenizer
    end: int
    """Put after a document."""
    digest: str
    """12 hex digits: the same for two tokenizers whose every id stands for the same and which begin, end and pad alike."""


def vocabulary(side: Path | Input) -> Vocabulary:
    """That of an artifact or of a folder of one's own. Raises Unusable where there is no tokenizer, Problem where it ends nothing."""
    return _opened(side.folder if isinstance(side, Input) else side)


@lru_cache(maxsize=2)
def _opened(folder: Path) -> Vocabulary:
    tokenizer = load(folder)
    if not tokenizer.stops:
        raise Problem(
            f"the tokenizer in {folder} has no token that ends a document; name one as eos_token in tokenizer_config.json"
        )
    roles = (tokenizer.start, tokenizer.stops, tokenizer.pad, sorted(tokenizer.special.items()))
    hashed = hashlib.sha256(repr(roles).encode())
    for piece, kind in tokenizer.pieces():
        hashed.update(len(piece).to_bytes(4, "little") + piece + kind.encode())
    return Vocabulary(tokenizer, tokenizer.stops[0], hashed.hexdigest()[:12])
