import pytest

from models.tokenizer.tokenizer import Tokenizer
from models.transformer.score import Request, score
from models.transformer.transformer import Transformer
from stages.evaluation.cloze import ROWS, ClozeConfig, cloze
from stages.evaluation.facts import Fact, attributes
from tests.stages.evaluation.country import Country


def test_a_model_that_knows_its_country_names_the_true_values(
    learnt: Transformer, tokenizer: Tokenizer, country: Country
) -> None:
    result = cloze(learnt, tokenizer, country.facts, ClozeConfig(context=""), 0)
    values = {measure.part: measure for measure in result.measures}
    assert values["seen"].value > 0.9
    assert values["withheld"].value > 0.9
    assert values["seen: pet"].n == values["withheld: pet"].n == 4
    table = result.tables["cloze"]
    assert dict(table.schema) == ROWS
    assert table.height == len(country.facts)
    assert (table["right"] == (table["answer"] == table["expected"])).all()
    assert (table["right"] == (table["rank"] == 1)).all()
    assert ((table["logprob"] > table["expected_logprob"]) | table["right"]).all()


def test_a_model_that_has_read_nothing_guesses(fresh: Transformer, tokenizer: Tokenizer, country: Country) -> None:
    values = {one.part: one for one in cloze(fresh, tokenizer, country.facts, ClozeConfig(context=""), 0).measures}
    assert values["seen"].low < values["seen"].chance < values["seen"].high
    assert values["seen"].note.startswith("the commonest value: 0.")


def test_the_choice_is_that_of_whole_sentences(learnt: Transformer, tokenizer: Tokenizer, country: Country) -> None:
    """What all candidates begin with adds the same to each."""
    table = cloze(learnt, tokenizer, country.facts[:6], ClozeConfig(context=""), 0).tables["cloze"]
    about = attributes(country.facts[:6])
    asked = [fact for fact in country.facts[:6] if fact.attribute in about]
    assert table.height == len(asked) > 2
    for fact, row in zip(asked, table.iter_rows(named=True), strict=True):
        sentences = about[fact.attribute].sentences(fact)
        whole = score(learnt, [Request([tokenizer.start], tokenizer.encode(one)) for one in sentences])
        best = max(range(len(whole)), key=lambda place: whole[place].total)
        assert row["answer"] == about[fact.attribute].values[best]
        assert row["expected"] in sentences[about[fact.attribute].values.index(fact.value)]


def test_articles_count_as_part_of_the_answer(learnt: Transformer, tokenizer: Tokenizer) -> None:
    facts = [
        Fact("person", "Al", "pet", "owl", "Al keeps an owl.", False),
        Fact("person", "Bo", "pet", "cat", "Bo keeps a cat.", True),
    ]
    table = cloze(learnt, tokenizer, facts, ClozeConfig(context=""), 0).tables["cloze"]
    assert table["prompt"].to_list() == ["Al keeps", "Bo keeps"] or table["prompt"].to_list() == ["Al keeps a", "Bo keeps a"]
    assert table["candidates"].to_list() == [2, 2]


def test_a_sample_of_facts_is_asked_about_with_the_candidates_of_all(
    fresh: Transformer, tokenizer: Tokenizer, country: Country
) -> None:
    few = cloze(fresh, tokenizer, country.facts, ClozeConfig(facts=7, context=""), 3).tables["cloze"]
    every = cloze(fresh, tokenizer, country.facts, ClozeConfig(context=""), 3).tables["cloze"]
    assert few.height == 7
    joined = few.join(every, on=["subject", "attribute"], suffix="_every")
    assert joined["candidates"].to_list() == joined["candidates_every"].to_list()
    assert joined["logprob"].to_list() == pytest.approx(joined["logprob_every"].to_list(), abs=1e-4)


def test_every_sentence_stands_after_the_context(fresh: Transformer, tokenizer: Tokenizer, country: Country) -> None:
    table = cloze(fresh, tokenizer, country.facts[:3], ClozeConfig(context="Al keeps a cat. "), 0).tables["cloze"]
    assert all(prompt.startswith("Al keeps a cat. ") for prompt in table["prompt"].to_list())
