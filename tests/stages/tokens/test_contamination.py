"""n-grams in common are those that sets of words have in common."""

import json
import random
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages.tokens.contamination import Overlap, index, overlap
from stages.tokens.folded import fold

QUESTION = "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May."
SHORT = "How many clips did Natalia sell altogether?"  # seven words


def against(folder: Path, evaluations: list[str], docs: list[str], n: int = 13, least: int = 8) -> Overlap:
    (folder / "asked.jsonl").write_text("".join(json.dumps({"q": text}) + "\n" for text in evaluations))
    index.cache_clear()
    texts = pl.Series(docs, dtype=pl.String)
    return overlap(texts, fold(texts), index(folder, n, least))


def test_a_planted_question_is_found_however_it_is_spelled_and_told_with_its_place(tmp_path: Path) -> None:
    planted = f"Some page about arithmetic. {QUESTION.upper().replace(',', ' --')} And then it goes on."
    found = against(
        tmp_path, ["What else is there to say about a thing as plain as this one here?", QUESTION], ["Nothing here.", planted]
    )
    assert found.ngrams.tolist() == [0, 20 - 13 + 1]
    assert found.examples == [None, "asked.jsonl:2: NATALIA SOLD CLIPS TO 48 OF HER FRIENDS IN APRIL -- AND THEN SHE"]
    assert found.share.tolist() == [0.0, 8 / (4 + 20 + 5 - 13 + 1)]


def test_twelve_words_in_common_are_not_thirteen(tmp_path: Path) -> None:
    words = QUESTION.split()
    found = against(tmp_path, [QUESTION], [" ".join([*words[:12], "yesterday", *words[12:]]), " ".join(words[:13])])
    assert found.ngrams.tolist() == [0, 1]


def test_a_short_evaluation_text_is_looked_for_as_a_whole_unless_it_says_too_little(tmp_path: Path) -> None:
    docs = [f"Teacher: {SHORT} Well?", "How many clips did Natalia"]
    assert against(tmp_path, [SHORT], docs, least=7).ngrams.tolist() == [1, 0]
    assert against(tmp_path, [SHORT], docs, least=8).ngrams.tolist() == [0, 0]
    assert against(tmp_path, [SHORT], docs, least=7).share.tolist() == [1.0, 0.0]  # nine words have one place for thirteen


def test_the_example_is_cut_from_the_document_where_words_of_several_bytes_stand(tmp_path: Path) -> None:
    text = "Où est-ce que l’été s’en va, quand les feuilles tombent, là-bas, près de la rivière glacée?"
    found = against(tmp_path, [text], [f"«Été» — {text}"])
    assert found.examples == ["asked.jsonl:1: Où est-ce que l’été s’en va, quand les feuilles tombent, là-bas, près de"]


def test_text_without_spaces_is_compared_by_its_characters(tmp_path: Path) -> None:
    question = "小明有十二个苹果，他给了小红五个，还剩几个？"
    found = against(tmp_path, [question], [f"练习：{question}", "小明有十二个苹果，都吃了。"])
    assert found.ngrams.tolist() == [19 - 13 + 1, 0]


WORDS = st.lists(st.sampled_from("abcd"), max_size=9).map(" ".join)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORDS, min_size=1, max_size=6), st.lists(WORDS, max_size=6), st.integers(1, 4), st.integers(1, 6))
def test_what_is_found_is_what_sets_of_n_grams_have_in_common(
    tmp_path: Path, evaluations: list[str], docs: list[str], n: int, least: int
) -> None:
    known = set()
    for text in map(str.split, evaluations):
        size = min(n, len(text))
        if size >= min(least, n):
            known |= {tuple(text[i : i + size]) for i in range(len(text) - size + 1)}
    expected = [
        sum(any(tuple(text[i : i + size]) in known for size in range(1, min(n, len(text) - i) + 1)) for i in range(len(text)))
        for text in map(str.split, docs)
    ]
    assert against(tmp_path, evaluations, docs, n, least).ngrams.tolist() == expected


def test_many_evaluation_texts_give_no_false_alarm_and_miss_none(tmp_path: Path) -> None:
    draw = random.Random(0)
    words = [f"word{n}" for n in range(200)]
    questions = [" ".join(draw.choices(words, k=draw.randint(8, 40))) for _ in range(2_000)]
    clean = [" ".join(draw.choices(words, k=300)) for _ in range(200)]
    planted = [f"{text} {draw.choice(questions)} {text}" for text in clean]
    found = against(tmp_path, questions, clean + planted)
    assert not found.ngrams[:200].any()
    assert found.ngrams[200:].all()


@pytest.mark.parametrize("evaluations", [["!!! ???"], ["one two three"]])
def test_evaluations_that_are_all_too_short_find_nothing(evaluations: list[str], tmp_path: Path) -> None:
    assert against(tmp_path, evaluations, ["one two three", ""]).ngrams.tolist() == [0, 0]
