import pytest

from models.tokenizer.tokenizer import Tokenizer
from models.transformer.score import Request, score
from models.transformer.transformer import Transformer
from stages.evaluation.facts import attributes
from stages.evaluation.in_context import FORMS, ROWS, InContextConfig, Query, draw, in_context, requests_of
from stages.evaluation.measures import NotMeasured
from tests.stages.evaluation.country import Country

CONFIG = InContextConfig(questions=6, examples=(0, 1, 2))


def test_rows_hold_the_prompts_in_both_forms(learnt: Transformer, tokenizer: Tokenizer, country: Country) -> None:
    result = in_context(learnt, tokenizer, country.facts, CONFIG, 0)
    table = result.tables["in_context"]
    assert dict(table.schema) == ROWS
    assert table.group_by("form", "examples", maintain_order=True).len().rows() == [
        (form, count, 6) for form in ("question", "pair") for count in (0, 1, 2)
    ]
    for row in table.iter_rows(named=True):
        *examples, asked = row["prompt"].split("\n\n")
        assert len(examples) == row["examples"]
        assert asked.startswith("Question: " if row["form"] == "question" else row["subject"])
        assert asked.endswith(" Answer:" if row["form"] == "question" else ":")
        assert row["right"] == (row["answer"] == row["expected"])
        assert row["logprob"] >= row["expected_logprob"]
    assert [(one.part, one.metric, one.n) for one in result.measures[:3]] == [
        ("question, 0 examples", "accuracy", 6),
        ("question, 0 examples", "expected_logprob", 6),
        ("question, 1 example", "accuracy", 6),
    ]


def test_the_gain_is_taken_question_by_question(learnt: Transformer, tokenizer: Tokenizer, country: Country) -> None:
    result = in_context(learnt, tokenizer, country.facts, CONFIG, 0)
    gains = {one.part: one for one in result.measures if one.metric == "gain"}
    assert set(gains) == {"question, 2 - 0 examples", "pair, 2 - 0 examples"}
    values = {(one.part, one.metric): one.value for one in result.measures}
    for form in ("question", "pair"):
        expected = values[f"{form}, 2 examples", "accuracy"] - values[f"{form}, 0 examples", "accuracy"]
        assert gains[f"{form}, 2 - 0 examples"].value == pytest.approx(expected)
    one_number = in_context(learnt, tokenizer, country.facts, InContextConfig(questions=2, examples=(1,)), 0)
    assert {one.metric for one in one_number.measures} == {"accuracy", "expected_logprob"}


def test_the_same_questions_are_asked_at_every_number_behind_more_and_more_examples(
    learnt: Transformer, tokenizer: Tokenizer, country: Country
) -> None:
    table = in_context(learnt, tokenizer, country.facts, CONFIG, 0).tables["in_context"]
    for form in ("question", "pair"):
        mine = table.filter(table["form"] == form)
        prompts = [mine.filter(mine["examples"] == count)["prompt"].to_list() for count in (0, 1, 2)]
        for none, one, two in zip(*prompts, strict=True):
            assert two.endswith(one)
            assert one.endswith(none)


def test_examples_are_about_others_and_never_have_the_value_asked_for(country: Country) -> None:
    for seed in range(20):
        for fact, others in draw(country.facts, attributes(country.facts), CONFIG, seed):
            assert len(others) == len(set(others)) == 2
            assert {other.attribute for other in others} == {fact.attribute}
            assert fact.value not in {other.value for other in others}
            assert fact.subject not in {other.subject for other in others}


def test_the_choice_is_that_of_the_whole_prompt_encoded_at_once(
    learnt: Transformer, tokenizer: Tokenizer, country: Country
) -> None:
    """Examples are encoded one by one, to save time: the same tokens, and so the same choice."""
    table = in_context(learnt, tokenizer, country.facts, CONFIG, 0).tables["in_context"]
    about = attributes(country.facts)
    for row in table.filter(table["examples"] == 1).iter_rows(named=True):
        values = about[row["attribute"]].values
        before = tokenizer.encode(row["prompt"])
        whole = [tokenizer.encode(f"{row['prompt']} {value}") for value in values]
        assert all(ids[: len(before)] == before for ids in whole)
        totals = [one.total for one in score(learnt, [Request([tokenizer.start, *before], ids[len(before) :]) for ids in whole])]
        assert row["answer"] == values[totals.index(max(totals))]


def test_examples_encoded_one_by_one_are_the_tokens_of_the_whole_prompt(tokenizers: list[Tokenizer], country: Country) -> None:
    about = attributes(country.facts)
    queries = [
        Query(form, fact, others)
        for form in FORMS
        for fact, others in draw(country.facts, about, InContextConfig(examples=(3,)), 0)
    ]
    for tokenizer in tokenizers:
        for query, requests in zip(queries, requests_of(tokenizer, queries, about), strict=True):
            for value, request in zip(about[query.fact.attribute].values, requests, strict=True):
                whole = tokenizer.encode(f"{query.prompt} {value}")
                assert [*request.context, *request.continuation] == [tokenizer.start, *whole]


def test_prompts_longer_than_the_context_are_cut_and_counted(learnt: Transformer, tokenizer: Tokenizer, country: Country) -> None:
    result = in_context(learnt, tokenizer, country.facts, InContextConfig(questions=3, examples=(0, 6)), 0)
    notes = {one.part: one.note for one in result.measures if one.metric == "accuracy"}
    assert notes["question, 0 examples"] is None
    assert notes["question, 6 examples"] == "3 prompts longer than the context lost their beginning"


def test_a_world_too_small_for_the_examples_is_left_out_with_its_reason(
    learnt: Transformer, tokenizer: Tokenizer, country: Country
) -> None:
    with pytest.raises(NotMeasured, match=r"no fact has 8 others of its attribute .* lower in_context\.examples"):
        in_context(learnt, tokenizer, country.facts, InContextConfig(), 0)
