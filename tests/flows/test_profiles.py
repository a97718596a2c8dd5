"""A profile is a set of differences from the defaults; what a person sets wins over it."""

import json
from pathlib import Path
from typing import get_args

import pytest

from flows.corpus import CorpusParameters
from flows.demo import DemoParameters
from flows.parameters import parameters
from flows.profiles import PROFILES, Profile, effective
from storage.artifact import resolve
from storage.problem import Problem
from storage.runs import records
from storage.store import Store
from tests.flows.conftest import CorpusRun, Winnow


@pytest.mark.parametrize("profile", get_args(Profile))
@pytest.mark.parametrize("model", [CorpusParameters, DemoParameters])
def test_every_difference_is_a_valid_value_other_than_the_default(
    profile: Profile, model: type[CorpusParameters | DemoParameters]
) -> None:
    plain = model(sources=["a"] if model is CorpusParameters else [])
    chosen = effective(plain, profile)
    assert model.model_validate(chosen.model_dump(mode="json")) == chosen
    for section, values in PROFILES[profile].items():
        for field, value in values.items():
            assert getattr(getattr(plain, section), field) != getattr(getattr(chosen, section), field) == value
    assert (chosen == plain) is (profile == "winnow")


def test_a_setting_given_another_value_wins_and_one_at_its_default_does_not() -> None:
    sets = ["extract.cpu_seconds=3", "extract.method=winnow", 'language.languages=["de"]', "c4.min_sentences=2"]
    given = parameters(CorpusParameters, None, ['sources=["a"]', "profile=datatrove-0.10", *sets], {})
    made = effective(given, given.profile)
    assert (made.language.languages, made.c4.min_sentences, made.extract.cpu_seconds) == (("de",), 2, 3)
    assert made.extract.method == "trafilatura"
    assert effective(made, made.profile) == made


def test_an_unknown_profile_is_named_with_those_that_there_are() -> None:
    with pytest.raises(Problem) as problem:
        parameters(CorpusParameters, None, ['sources=["a"]', "profile=gopher"], {})
    expected = "the parameter profile is 'gopher': input should be 'winnow', 'datatrove-0.10' or 'fineweb-2024'"
    assert str(problem.value) == expected


def test_record_and_recipes_hold_what_the_run_worked_with(corpus_run: CorpusRun, crawl: Path, tmp_path: Path) -> None:
    made = corpus_run(
        f"{crawl}/*.warc.gz", str(tmp_path), "--set", "profile=fineweb-2024", "--set", "fineweb.short_line_length=20"
    )
    store = Store(str(tmp_path))
    [record] = records(store)
    assert record.parameters["profile"] == "fineweb-2024"
    assert record.parameters["extract"]["method"] == "trafilatura"
    recipe = json.loads(store.read(f"{resolve(store, 'fineweb').folder}/recipe.json"))
    assert (recipe["config"]["line_ends"], recipe["config"]["short_line_length"]) == ("fineweb-2024", 20)
    assert made["corpus"]["rows"]


def test_the_demo_takes_a_profile(winnow: Winnow, lists: Path, tmp_path: Path) -> None:
    sets = [f"lists={lists}", "profile=datatrove-0.10", "simulate.pages=60", "until=corpus"]
    winnow("run", "demo", "--store", str(tmp_path), *(word for one in sets for word in ("--set", one)))
    [record] = records(Store(str(tmp_path)))
    assert (record.state, record.parameters["url"]["profile"]) == ("completed", "datatrove-0.10")
