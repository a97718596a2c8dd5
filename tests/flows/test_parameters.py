"""Parameters come from a file, from --set and from options, and every wrong one is named."""

import json
from pathlib import Path

import pytest

from flows.corpus import CorpusParameters
from flows.parameters import parameters
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
