import pytest

from models.tokenizer.tokenizer import Tokenizer
from models.transformer.score import Request, score
from models.transformer.transformer import Transformer
from stages.evaluation.facts import Fact
from stages.evaluation.measures import NotMeasured
from stages.evaluation.prompted import HEAD, ROWS, PromptedConfig, draw, first, judge, plain, prompted
from tests.stages.evaluation.country import Country

CONFIG = PromptedConfig(questions=10, examples=1, max_tokens=14)


def test_transcripts_are_kept_and_judged(learnt: Transformer, tokenizer: Tokenizer, country: Country) -> None:
    result = prompted(learnt, tokenizer, country.facts, CONFIG, 0)
    table = result.tables["prompted"]
    assert dict(table.schema) == ROWS
    assert table.height == 10
    facts = {(fact.subject, fact.attribute): fact for fact in country.facts}
    for row in table.iter_rows(named=True):
        fact = facts[row["subject"], row["attribute"]]
        assert row["expected"] == fact.value
        assert row["prompt"].startswith(HEAD + "\n\nQuestion: ")
        assert row["prompt"].endswith(f"\n\nQuestion: {fact.question} Answer:")
        assert row["as_shown"] == (plain(row["answer"]) == plain(fact.sentence))
        assert row["as_shown"] <= row["right"] <= (row["named"] == fact.value)
    parts = {(one.part, one.metric): one for one in result.measures}
    assert sum(parts[part, "exact_match"].n for part in ("withheld", "seen", "others")) == parts["all", "exact_match"].n == 10
    assert parts["all", "exact_match"].value == table["right"].sum() / 10
    assert parts["all", "as_shown"].value == table["as_shown"].sum() / 10


def test_the_answer_is_what_greedy_decoding_writes(learnt: Transformer, tokenizer: Tokenizer, country: Country) -> None:
    """Encoded again and scored after the prompt, each token is the likeliest (where the model spells as the tokenizer does)."""
    table = prompted(learnt, tokenizer, country.facts, CONFIG, 0).tables["prompted"]
    requests = [
        Request([tokenizer.start, *tokenizer.encode(row["prompt"])], tokenizer.encode(" " + row["answer"]))
        for row in table.iter_rows(named=True)
    ]
    scores = score(learnt, requests)
    assert sum(one.greedy for one in scores) >= 8
    for one, row in zip(scores, table.iter_rows(named=True), strict=True):
        assert not one.greedy or row["logprob"] <= one.total + 1e-3  # the end of the answer comes on top


def test_examples_are_of_different_attributes_and_no_question_is_about_their_subjects(country: Country) -> None:
    for seed in range(10):
        examples, asked = draw(country.facts, PromptedConfig(examples=4), seed)
        assert len({fact.attribute for fact in examples}) == 4
        assert not {fact.subject for fact in examples} & {fact.subject for fact in asked}
        assert len(asked) == len(set(asked))
    assert len(draw(country.facts, PromptedConfig(examples=9), 0)[0]) == 9


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("Zolek lives in Grobford, not in Menport.", "Grobford"),
        ("menport is where zolek lives", "Menport"),
        ("Zolek lives in Grobfordham.", None),
        ("It is 150 km.", None),
        ("It is 50 km.", "50"),
        ("", None),
    ],
)
def test_the_first_value_that_stands_as_a_word_is_what_an_answer_names(answer: str, found: str | None) -> None:
    assert first(answer, ["Menport", "Grobford", "50"]) == found


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("Zolek lives in Grobford.", True),
        ("In Grobford, of course.", True),
        ("Zolek came to Grobford from Menport, where Thalmun lives.", True),
        ("Thalmun lives in Grobford.", False),
        ("Zolek came from Menport to Grobford.", False),
        ("I do not know.", False),
    ],
)
def test_an_answer_is_right_if_it_names_the_true_value_first_and_speaks_of_the_one_who_was_asked_about(
    answer: str, right: bool
) -> None:
    fact = Fact("person", "Zolek", "town", "Grobford", "Zolek lives in Grobford.", False)
    assert judge(answer, fact, ["Grobford", "Menport"], ["Thalmun", "Zolek"])[1] == right


def test_both_ends_of_a_road_are_its_subject() -> None:
    fact = Fact("road", "Menport - Zusford", "km", "50", "From Menport to Zusford it is 50 km.", False)
    towns = ["Grobford", "Menport", "Zusford"]
    assert judge("The road from Zusford to Menport is 50 km long.", fact, ["50", "45"], towns) == ("50", True)
    assert judge("The road from Grobford to Menport is 50 km long.", fact, ["50", "45"], towns) == ("50", False)


def test_case_space_and_the_full_stop_do_not_count() -> None:
    assert plain(" Zolek  keeps an OWL") == plain("Zolek keeps an owl.")
    assert plain("Zolek keeps an owl, a cat.") != plain("Zolek keeps an owl.")


def test_what_does_not_fit_is_left_out_with_its_reason(learnt: Transformer, tokenizer: Tokenizer, country: Country) -> None:
    with pytest.raises(NotMeasured, match=r"a prompt with 8 examples .* the model's context is 96: lower prompted\.examples"):
        prompted(learnt, tokenizer, country.facts, PromptedConfig(examples=8), 0)
    one = [Fact("person", "Al", attribute, value, f"Al {value}.", False) for attribute, value in (("pet", "a"), ("pet", "b"))]
    with pytest.raises(NotMeasured, match="found 2 facts and nothing to ask beside 2 examples"):
        draw(one, PromptedConfig(examples=2), 0)
