"""A model for the extractor from pages with gold text: labels, cross-validation by site, the model, its card.

In: `inputs["pages"]`, files as stages.extraction.pages reads them, and `inputs["crawl"]`, if given, a simulated crawl. Out, in `out`:

| file | |
|---|---|
| model.npz | the model, trained on all pages: for `--set extract.model=` of the corpus flow, or to become the shipped one |
| MODEL_CARD.md | what it was made from, and how well it does on sites that it has not seen |
| scores.parquet | a row a page: SCORES, each judged by a model that saw no page of its site |

Pages of one registered domain stay in one fold, for pages of one site are alike.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field

from stages.extraction.card import card_of, markdown
from stages.extraction.extractor import choose, read
from stages.extraction.features import NAMES, features
from stages.extraction.gold import labels
from stages.extraction.model import Model, save
from stages.extraction.pages import GoldPage, gold_pages
from stages.extraction.scores import score
from stages.extraction.simulated import simulated_pages
from stages.extraction.text import render
from stages.extraction.training import Boosting, fit, weights
from stages.extraction.trees import Trees, predict
from stages.stage import Config, Input, Stage
from storage.problem import Problem
from storage.shards import encode

SCORES: dict[str, pl.DataType] = {
    "id": pl.String(),
    "site": pl.String(),
    "source": pl.String(),
    "language": pl.String(),
    "page_type": pl.String(),
    "fold": pl.Int32(),
    "precision": pl.Float64(),
    "recall": pl.Float64(),
    "f1": pl.Float64(),
    "confidence": pl.Float64(),
    "best_f1": pl.Float64(),  # of the blocks that are mostly main text: what no choice of blocks can do better
}

STRONGEST = 20  # features that the card names


class TrainExtractorConfig(Config):
    """Settings of `train_extractor`."""

    boosting: Boosting = Boosting()
    """How many trees of which size."""
    folds: int = Field(default=5, ge=2, le=50)
    """Parts of the sites for cross-validation."""
    source_weights: dict[str, float] = {}
    """Weight of each page of a source, 1 where none is named."""


@dataclass(frozen=True)
class Labelled:
    """Pages as the training sees them; the rows of x are all their blocks, page after page."""

    pages: tuple[GoldPage, ...]
    x: np.ndarray  # float32[blocks, features]
    matched: np.ndarray  # float32[blocks]: words of main text
    words: np.ndarray  # float32[blocks]
    page: np.ndarray  # int32[blocks]: place in pages
    gold_words: np.ndarray  # float64[pages]

    @property
    def share(self) -> np.ndarray:
        return np.asarray(self.matched / np.maximum(1, self.words), np.float32)


def labelled(pages: Iterable[GoldPage]) -> Labelled:
    """Scans, measures and labels every page."""
    kept, xs, matches, counts, gold_words = [], [], [], [], []
    for page in pages:
        scanned, _ = read(page.html)
        text = scanned.text.tobytes()
        blocks = [text[b["start"] : b["end"]].decode("utf-8", "replace") for b in scanned.blocks]
        matched, words, wanted = labels(blocks, page.gold)
        kept.append(page)
        xs.append(features(scanned))
        matches.append(matched)
        counts.append(words)
        gold_words.append(wanted)
    if not kept:
        raise Problem("found no page to train on; expected rows with html and gold_text")
    place = np.repeat(np.arange(len(kept), dtype=np.int32), [len(x) for x in xs])
    return Labelled(
        tuple(kept), np.concatenate(xs), np.concatenate(matches), np.concatenate(counts), place, np.array(gold_words, float)
    )


def folds_of(pages: Iterable[GoldPage], folds: int) -> np.ndarray:
    """int32[pages]: by a hash of the site, so that a page more moves no other."""
    return np.array([zlib.crc32(page.site.encode()) % folds for page in pages], np.int32)


def cross_validate(data: Labelled, config: TrainExtractorConfig, threads: int, say: Callable[[str], None]) -> list[Trees]:
    """For each fold the trees of all others."""
    fold = folds_of(data.pages, config.folds)[data.page]
    weight = _weights(data, config)
    trees = []
    for k in range(config.folds):
        others = fold != k
        if not others.any():
            raise Problem(f"all pages are of one site; cross-validation over {config.folds} folds needs more")
        trees.append(fit(data.x[others], data.share[others], weight[others], config.boosting, threads).trees)
        say(f"fold {k + 1} of {config.folds}")
    return trees


def _weights(data: Labelled, config: TrainExtractorConfig) -> np.ndarray:
    by_source = np.array([config.source_weights.get(page.source or "", 1.0) for page in data.pages])
    return np.asarray(weights(data.words, data.page, data.gold_words) * by_source[data.page])


def judged(data: Labelled, models: list[Trees], folds: int) -> pl.DataFrame:
    """SCORES of every page, each by the model that did not see its site."""
    fold = folds_of(data.pages, folds)
    ends = np.searchsorted(data.page, np.arange(len(data.pages) + 1))
    rows = []
    for k, page in enumerate(data.pages):
        blocks = slice(ends[k], ends[k + 1])
        scanned, _ = read(page.html)
        keep, confidence = choose(scanned, predict(models[fold[k]], data.x[blocks]))
        found = score(render(scanned, keep, markdown=False), page.gold)
        best = score(render(scanned, data.share[blocks] > 0.5, markdown=False), page.gold)
        about = (page.id, page.site, page.source, page.language, page.page_type, int(fold[k]))
        rows.append((*about, *found, confidence, best.f1))
    return pl.DataFrame(rows, schema=SCORES, orient="row")


def run(inputs: Mapping[str, Input], out: Path, config: TrainExtractorConfig) -> dict[str, Any]:
    """Writes the three files. Raises Problem where the pages cannot be read."""
    given = inputs["pages"]
    files = (gold_pages(given.folder / name) for name in given.names)
    data = labelled(chain(*files, simulated_pages(inputs["crawl"]) if "crawl" in inputs else ()))
    models = cross_validate(data, config, threads=1, say=lambda text: None)
    scores = judged(data, models, config.folds)
    trees, gain = fit(data.x, data.share, _weights(data, config), config.boosting, threads=1)
    strongest = {NAMES[f]: round(float(gain[f]), 4) for f in np.argsort(-gain, kind="stable")[:STRONGEST]}
    card = card_of(scores, data.pages, len(trees.feature), strongest, config.model_dump(mode="json"))
    (out / "model.npz").write_bytes(save(Model(trees, card)))
    (out / "MODEL_CARD.md").write_text(markdown(card), encoding="utf-8")
    (out / "scores.parquet").write_bytes(encode(scores, SCORES))
    return {"pages": len(data.pages), "f1": float(scores["f1"].mean()), "numbers": len(trees.feature)}  # type: ignore[arg-type]


TRAIN_EXTRACTOR = Stage(name="train_extractor", version=1, run=run, config=TrainExtractorConfig, shape="whole")
