"""The model card: what the extraction model was made from, and how well it does on sites that it has not seen.

Mitchell et al., "Model Cards for Model Reporting" (FAccT 2019).
"""

from collections.abc import Sequence
from typing import Any

import polars as pl

from stages.extraction.pages import GoldPage

_TOLD_BY = ("source", "language", "page_type")


def card_of(
    scores: pl.DataFrame, pages: Sequence[GoldPage], numbers: int, gain: dict[str, float], config: dict[str, Any]
) -> dict[str, Any]:
    """The card as it goes into the model file."""
    return {
        "pages": len(pages),
        "sites": scores["site"].n_unique(),
        "numbers": numbers,
        "gain": gain,
        "config": config,
        "scores": {"all": _means(scores)}
        | {
            f"{by} {value[0]}": _means(part)
            for by in _TOLD_BY
            for value, part in sorted(scores.group_by(by), key=str)
            if value[0]
        },
    }


def _means(scores: pl.DataFrame) -> dict[str, float]:
    means = scores.select(pl.len().alias("pages"), pl.mean("precision", "recall", "f1", "best_f1").round(4)).row(0, named=True)
    return {name: float(value) for name, value in means.items()}


def markdown(card: dict[str, Any]) -> str:
    boosting = card["config"]["boosting"]
    rows = [
        f"| {name} | {score['pages']:.0f} | {score['precision']:.3f} | {score['recall']:.3f} | {score['f1']:.3f} | {score['best_f1']:.3f} |"
        for name, score in card["scores"].items()
    ]
    return "\n".join([
        "# Extraction model",
        "",
        f"{boosting['trees']} boosted trees of {boosting['leaves']} leaves ({card['numbers']:,} thresholds and leaf values) that say of each block "
        f"of a web page how much of it is main text. Made from {card['pages']:,} pages of {card['sites']:,} sites by the stage `train_extractor`.",
        "",
        f"Cross-validated over {card['config']['folds']} folds by site; word-level, macro over pages. *Best* is what a perfect choice among the "
        "blocks would reach.",
        "",
        "| pages of | pages | precision | recall | F1 | best |",
        "|---|--:|--:|--:|--:|--:|",
        *rows,
        "",
        "What the trees draw their gain from (names: stages/extraction/features.py and containers.py):",
        "",
        "| feature | share of the gain | |",
        "|---|--:|---|",
        *(f"| {name} | {gain:.3f} | {'█' * round(100 * gain)} |" for name, gain in card["gain"].items()),
        "",
    ])  # fmt: skip
