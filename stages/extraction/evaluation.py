"""Extractors side by side on pages with gold text: word-level scores and CPU time, in one run on one machine.

Every extractor gets what it takes: `winnow` the bytes, so that finding the encoding and decoding is on its bill, the others the decoded text.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import polars as pl

from stages.corpus import peers
from stages.corpus.encoding import to_utf8
from stages.extraction.extractor import extract
from stages.extraction.model import Model
from stages.extraction.pages import GoldPage
from stages.extraction.scores import interval, score

METHODS = ("winnow", "trafilatura", "resiliparse")
RESULTS: dict[str, pl.DataType] = {
    "method": pl.String(),
    "id": pl.String(),
    "source": pl.String(),
    "language": pl.String(),
    "page_type": pl.String(),
    "precision": pl.Float64(),
    "recall": pl.Float64(),
    "f1": pl.Float64(),
    "seconds": pl.Float64(),  # CPU
    "failed": pl.Boolean(),  # it raised; the text counts as empty
}


def evaluate(pages: Sequence[GoldPage], model_of: Callable[[int], Model], methods: Iterable[str]) -> pl.DataFrame:
    """RESULTS, a row a page and method. `model_of(k)`: the model for page k, which must not have seen it; asked for `winnow` alone."""
    rows = []
    for method in methods:
        with suppress(Exception):  # loading code and word lists is not what is measured
            _extractor(method, pages[0], model_of, 0)()
        for k, page in enumerate(pages):
            run = _extractor(method, page, model_of, k)
            failed = False
            before = time.process_time()
            try:
                text = run()
            except Exception:
                if method == "winnow":
                    raise
                text, failed = "", True
            seconds = time.process_time() - before
            about = (page.id, page.source, page.language, page.page_type)
            rows.append((method, *about, *score(text, page.gold), seconds, failed))
    return pl.DataFrame(rows, schema=RESULTS, orient="row")


def _extractor(method: str, page: GoldPage, model_of: Callable[[int], Model], k: int) -> Callable[[], str]:
    if method == "winnow":
        model = model_of(k)
        return lambda: extract(to_utf8(page.html, "utf-8")[0], model).text
    html = page.html.decode("utf-8", "replace")
    other = peers.trafilatura if method == "trafilatura" else peers.resiliparse
    return lambda: other(html)


@dataclass(frozen=True)
class Comparison:
    """One kind of pages: the mean F1 of each method, and winnow's lead over trafilatura with its 95 % interval."""

    kind: str
    pages: int
    f1: dict[str, float]
    lead: tuple[float, float, float] | None


def compared(results: pl.DataFrame) -> list[Comparison]:
    """All pages, then by source, page type and language."""
    found = [_comparison("all", results)]
    for by in ("source", "page_type", "language"):
        for (value,), part in sorted(results.group_by(by), key=lambda group: str(group[0])):
            if value is not None:
                found.append(_comparison(f"{by.replace('_', ' ')} {value}", part))
    return found


def _comparison(kind: str, part: pl.DataFrame) -> Comparison:
    f1 = {method: np.array(rows["f1"]) for (method,), rows in part.group_by("method", maintain_order=True)}
    lead = None
    if "winnow" in f1 and "trafilatura" in f1:
        differences = f1["winnow"] - f1["trafilatura"]
        lead = (float(differences.mean()), *interval(differences.tolist()))
    pages = len(next(iter(f1.values())))
    return Comparison(kind, pages, {method: float(values.mean()) for method, values in f1.items()}, lead)
