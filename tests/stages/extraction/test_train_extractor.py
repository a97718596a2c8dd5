"""Training: from a made-up crawl to a model file, its card and its scores."""

import gzip
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from stages.corpus.simulate import SimulateConfig
from stages.corpus.simulate import run as simulate
from stages.extraction.extractor import extract, read
from stages.extraction.features import NAMES, features
from stages.extraction.model import SHIPPED, Model, load, save
from stages.extraction.simulated import simulated_pages
from stages.extraction.train_extractor import SCORES, TrainExtractorConfig, folds_of, labelled, run
from stages.extraction.training import Boosting, fit
from stages.extraction.trees import Trees, predict
from stages.stage import Input
from storage.problem import Problem

SMALL = TrainExtractorConfig(boosting=Boosting(trees=30, leaves=8, rate=0.2), folds=2)


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Input:
    folder = tmp_path_factory.mktemp("crawl")
    simulate({}, folder, SimulateConfig(pages=160, files=1))
    return Input(folder, tuple(sorted(path.name for path in folder.iterdir())))


@pytest.fixture(scope="module")
def trees(crawl: Input) -> Trees:
    data = labelled(list(simulated_pages(crawl))[:60])
    return fit(data.x, data.share, np.ones(len(data.words)), SMALL.boosting, 1).trees


def test_a_model_is_made_and_judged_on_sites_that_it_has_not_seen(crawl: Input, tmp_path: Path) -> None:
    chosen = list(simulated_pages(crawl))[::3]
    rows = [
        {"html": page.html.decode(), "gold_text": page.gold, "url": f"http://{page.site}/", "source": "file"} for page in chosen
    ]
    (tmp_path / "pages.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    made = run({"pages": Input(tmp_path, ("pages.jsonl.gz",)), "crawl": crawl}, tmp_path, SMALL)
    scores = pl.read_parquet(tmp_path / "scores.parquet")
    assert dict(scores.schema) == SCORES
    assert made["pages"] == scores.height
    assert set(scores["source"]) == {"file", "simulated"}
    assert scores.group_by("site").agg(pl.n_unique("fold"))["fold"].max() == 1
    assert float(scores["f1"].mean()) > 0.8  # type: ignore[arg-type]

    model = load(tmp_path / "model.npz")
    page = next(page for page in simulated_pages(crawl) if len(page.gold) > 500)
    assert page.gold.split("\n")[0] in extract(page.html, model, markdown=False).text
    card = (tmp_path / "MODEL_CARD.md").read_text()
    assert f"from {scores.height} pages" in card
    assert "| source simulated |" in card


def test_the_same_pages_give_the_same_model_whatever_the_threads(crawl: Input, trees: Trees) -> None:
    data = labelled(list(simulated_pages(crawl))[:60])
    again = fit(data.x, data.share, np.ones(len(data.words)), SMALL.boosting, 2).trees
    assert save(Model(again, {})) == save(Model(trees, {}))


def test_a_model_that_is_read_answers_as_the_one_that_was_written(crawl: Input, trees: Trees, tmp_path: Path) -> None:
    (tmp_path / "model.npz").write_bytes(save(Model(trees, {"made": "here"})))
    again = load(tmp_path / "model.npz")
    assert again.card == {"made": "here"}
    x = labelled(list(simulated_pages(crawl))[60:80]).x
    assert np.array_equal(predict(again.trees, x), predict(trees, x))


def test_trees_answer_as_those_of_lightgbm_but_for_what_is_dropped_early(crawl: Input, trees: Trees) -> None:
    import lightgbm

    data = labelled(list(simulated_pages(crawl))[:60])
    settings = {"objective": "cross_entropy", "learning_rate": 0.2, "num_leaves": 8, "min_data_in_leaf": 200, "seed": 0}
    settings |= {"min_sum_hessian_in_leaf": 0.5, "feature_fraction": 0.5, "bagging_fraction": 0.7, "bagging_freq": 1}
    settings |= {"lambda_l2": 5.0, "max_bin": 63, "deterministic": True, "force_row_wise": True, "num_threads": 1, "verbose": -1}
    data_set = lightgbm.Dataset(data.x, data.share, weight=np.ones(len(data.words)))
    expected, found = lightgbm.train(settings, data_set, 30).predict(data.x), predict(trees, data.x)
    kept = found > 0.15
    assert kept.sum() > 100
    assert np.mean(np.abs(expected[kept] - found[kept]) < 0.02) > 0.98
    assert (expected[~kept] < 0.2).all()


def test_pages_of_one_site_are_in_one_fold_and_a_page_more_moves_no_other(crawl: Input) -> None:
    pages = list(simulated_pages(crawl))
    folds = folds_of(pages, 5)
    assert len({(page.site, fold) for page, fold in zip(pages, folds, strict=True)}) == len({page.site for page in pages})
    assert np.array_equal(folds_of(pages[:50], 5), folds[:50])


def test_the_shipped_model_is_small_and_says_what_it_is() -> None:
    model = load(SHIPPED)
    assert SHIPPED.stat().st_size < 100_000
    assert model.card["scores"]["all"]["f1"] > 0.89
    assert model.card["pages"] > 2_000


def test_no_model_and_a_model_for_other_features_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no model")
    with pytest.raises(Problem, match=r"text\.npz is no extraction model that can be read.*winnow run extractor"):
        load(tmp_path / "text.npz")
    with np.load(SHIPPED) as file:
        arrays = dict(file)
    arrays["features"] = np.frombuffer(json.dumps([*NAMES[:-1], "moon_phase"]).encode(), np.uint8)
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(Problem, match=r"made for other features.*moon_phase"):
        load(tmp_path / "other.npz")


def test_one_site_alone_cannot_be_cross_validated(crawl: Input, tmp_path: Path) -> None:
    page = next(simulated_pages(crawl))
    row = {"html": page.html.decode(), "gold_text": page.gold, "url": "http://one.example/"}
    (tmp_path / "one.jsonl").write_text("\n".join([json.dumps(row)] * 5))
    with pytest.raises(Problem, match="all pages are of one site"):
        run({"pages": Input(tmp_path, ("one.jsonl",))}, tmp_path, SMALL)


def test_features_are_finite_and_as_many_as_their_names() -> None:
    for html in (b"<p>word", b"<table><tr><td>a<td>b", b"x" * 3000, "汉字。".encode() * 50, b"<h1>T</h1>" * 300):
        x = features(read(html)[0])
        assert x.shape[1] == len(NAMES)
        assert np.isfinite(x).all()
    assert features(read(b"")[0]).shape == (0, len(NAMES))
