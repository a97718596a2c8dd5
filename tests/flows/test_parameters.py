"""Parameters come from a file, from --set and from options, and every wrong one is named."""

import json
from importlib import import_module
from pathlib import Path

import pytest
from prefect.utilities.callables import parameter_schema

from flows.commands.run import FLOWS
from flows.corpus import CorpusParameters
from flows.demo import DemoParameters
from flows.parameters import parameters
from flows.posttrain import PosttrainParameters
from flows.release import ReleaseParameters
from flows.run import Mechanics
from flows.settings import printed, settings
from storage.problem import Problem


def test_later_words_win_over_earlier_ones(tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    file.write_text(json.dumps({"sources": ["a"], "c4": {"min_sentences": 2, "max_word_length": 500}, "store": "x"}))
    made = parameters(
        CorpusParameters, file, ["c4.min_sentences=7", "records.dump=CC-MAIN-2024-10"], {"store": "y", "engine": None}
    )
    assert (made.c4.min_sentences, made.c4.max_word_length, made.store, made.engine) == (7, 500, "y", "local")
    assert made.records.dump == "CC-MAIN-2024-10"


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["sorces=[]"], "unknown parameter sorces; did you mean sources?"),
        (["c4.min_sentence=3"], "unknown parameter c4.min_sentence; did you mean min_sentences?"),
        (["c4.min_sentences=many"], "the parameter c4.min_sentences is 'many': input should be a valid integer"),
        (["c4.xyz=1"], "unknown parameter c4.xyz; known there: "),
        (["engine=spark"], "the parameter engine is 'spark': input should be 'local' or 'ray'"),
        (["language.min_score=7"], "the parameter language.min_score is 7: input should be less than or equal to 1"),
        (["workers=-1"], "the parameter workers is -1: input should be greater than or equal to 0"),
        (["sources"], "--set 'sources': expected name=value"),
        (["c4=1", "c4.x=2"], "c4 has a value already"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_was_expected(sets: list[str], message: str) -> None:
    with pytest.raises(Problem, match=None) as problem:
        parameters(
            CorpusParameters, None, ["records.dump=x", *sets] if sets[0].startswith("sources") else ['sources=["a"]', *sets], {}
        )
    assert message in str(problem.value)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["package.default=Q6_K", 'quantize.types=["Q8_0"]'], r"package.default is Q6_K, and quantize.types are Q8_0"),
        (['quantize.types=["Q2_K"]'], r"\Athe parameter quantize.types.0 is 'Q2_K': input should be 'F32'[^\n]*\Z"),
        (["quantize.name=mine"], r"quantize.name is 'mine', and the flow sets it.*by the parameter `name`"),
        (['package.lineage=["a"]'], r"package.lineage is \('a',\), and the flow sets it"),
    ],
)
def test_what_a_release_could_not_use_is_refused_before_it_begins(sets: list[str], message: str) -> None:
    with pytest.raises(Problem, match=message):
        parameters(ReleaseParameters, None, sets, {})


def test_every_setting_can_be_listed_with_the_flows_own_value_and_be_given_so() -> None:
    lines = printed(DemoParameters, as_json=False).splitlines()
    assert len(lines) > 400
    [steps] = [line for line in lines if line.startswith("grpo.steps=")]
    assert steps == f"grpo.steps={DemoParameters().grpo.steps}  Updates of the weights."
    own = {one.name: one.default for one in settings(DemoParameters)}
    given = [f"{name}={json.dumps(value)}" for name, value in own.items()]
    assert parameters(DemoParameters, None, given, {}) == DemoParameters()
    assert json.loads(printed(CorpusParameters, as_json=True))[0]["name"] == "sources"


def test_all_wrong_parameters_are_named_at_once() -> None:
    with pytest.raises(Problem) as problem:
        parameters(CorpusParameters, None, ["workers=-1", "c4.xyz=1"], {})
    assert len(str(problem.value).splitlines()) == 3  # the third: sources is missing


@pytest.mark.parametrize(
    ("content", "message"), [("{", "is not JSON"), ("[1]", "expected a JSON object"), (None, "No such file or directory")]
)
def test_a_config_file_that_cannot_be_used_is_named(content: str | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(Problem, match=message):
        parameters(CorpusParameters, file, [], {})


def test_what_the_form_of_a_schedule_leaves_empty_is_not_given() -> None:
    """A scheduled run gets the parameters just as Prefect's form has saved them."""
    empty = {"__prefect_kind": "json"}
    saved = {
        "conversations": empty,
        "import_conversations": empty,
        "sft": {"epochs": 2, "mixture": empty, "prompts": [empty]},
        "compute": {"__prefect_kind": "json", "value": '{"threads": 3}'},
    }
    meant = {"sft": {"epochs": 2, "prompts": []}, "compute": {"threads": 3}}
    assert PosttrainParameters.model_validate(saved) == PosttrainParameters.model_validate(meant)


def test_the_store_is_that_of_the_process_that_serves_the_flows_unless_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WINNOW_STORE", raising=False)
    assert Mechanics().store == "./store"
    monkeypatch.setenv("WINNOW_STORE", "s3://bucket/winnow")
    assert (Mechanics().store, Mechanics(store="mine").store) == ("s3://bucket/winnow", "mine")


@pytest.mark.parametrize("name", FLOWS)
def test_every_field_and_section_of_a_form_is_headed_by_its_own_name_and_says_what_it_is(name: str) -> None:
    """Three sections of the demo are of the class SftConfig; nobody could tell them apart by that."""
    sections = parameter_schema(getattr(import_module(f"flows.{name}"), name)).definitions
    for section in sections.values():
        for field, form in section.get("properties", {}).items():
            shown = sections.get(form.get("$ref", "").rpartition("/")[2], {}) | form
            assert shown["title"] == field.replace("_", " ").title()
            assert shown.get("description"), f"{field} of {section['title']}"
