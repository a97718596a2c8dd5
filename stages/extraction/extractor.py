"""A page's bytes to its main text.

    page bytes -> scanner -> measure -> features -> trees -> selection -> text
                     \\-> metadata

Stateless: the same bytes give the same text, whatever came before.
"""

import contextlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from stages.extraction.compiled import FOLDER
from stages.extraction.features import features
from stages.extraction.measure import measure
from stages.extraction.metadata import Metadata, metadata
from stages.extraction.model import SHIPPED, Model, load
from stages.extraction.scanner import Scanned, scan
from stages.extraction.selection import best_threshold
from stages.extraction.text import render
from stages.extraction.trees import predict
from stages.extraction.utf8 import is_utf8

_DONE = "compiled"  # a file in FOLDER, written last


@dataclass(frozen=True, slots=True)
class MainText:
    text: str
    """Empty where the page has none."""
    confidence: float
    """Expected F1 of what was chosen, 0 to 1."""
    metadata: Metadata
    tags: int
    """`<` in the page."""


def extract(page: bytes, model: Model, markdown: bool = True) -> MainText:
    """`page`: HTML as UTF-8 (stages.corpus.encoding.to_utf8 makes it). Whatever the page holds, it raises nothing."""
    scanned, array = read(page)
    keep, confidence = choose(scanned, predict(model.trees, features(scanned)))
    return MainText(render(scanned, keep, markdown), confidence, metadata(array, scanned.marks), scanned.tags)


def read(page: bytes) -> tuple[Scanned, np.ndarray]:
    """The page scanned and measured, and its bytes."""
    array = np.frombuffer(page, np.uint8)
    scanned = scan(array)
    measure(array, scanned)
    return scanned, array


def choose(scanned: Scanned, p: np.ndarray) -> tuple[np.ndarray, float]:
    """(bool[blocks] of what to keep, expected F1) from p[blocks], the share of main text in each."""
    if not len(p):
        return np.zeros(0, np.bool_), 0.0
    threshold, confidence = best_threshold(p, scanned.blocks["words"])
    return p >= threshold, float(confidence)


def is_compiled() -> bool:
    """Whether this machine has the machine code of this version."""
    return (FOLDER / _DONE).exists()


@lru_cache(maxsize=1)
def compile_all() -> None:
    """Loads or compiles everything, once in a process, by one small page: never within a limit on a page's time and memory."""
    is_utf8(b"One")
    extract(b"<title>One</title><ul><li>Two<li>Three</ul><p>Four &amp; five, <b>six</b>.</p>", load(SHIPPED))
    with contextlib.suppress(OSError):
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / _DONE).touch()
