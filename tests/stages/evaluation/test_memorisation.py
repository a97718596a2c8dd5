import random
from difflib import SequenceMatcher

import pytest

from models.tokenizer.tokenizer import Tokenizer
from models.transformer.score import Request, score
from models.transformer.transformer import Transformer
from stages.evaluation.documents import Document
from stages.evaluation.likelihood import beginning
from stages.evaluation.measures import NotMeasured
from stages.evaluation.memorisation import ROWS, MemorisationConfig, cut, longest_run, memorisation
from tests.stages.evaluation.country import Country

SHORT = MemorisationConfig(prompt_tokens=8, continuation_tokens=10)


def documents(pages: dict[str, str]) -> list[Document]:
    return [Document(name, text) for name, text in pages.items()]


def test_what_was_read_too_often_is_regurgitated_and_what_was_not_is_not(
    learnt: Transformer, tokenizer: Tokenizer, country: Country
) -> None:
    result = memorisation(learnt, tokenizer, documents(country.pages), documents(country.unread), SHORT)
    values = {(one.part, one.metric): one for one in result.measures}
    assert values["training", "verbatim"].value > values["unseen", "verbatim"].value + 0.2
    assert values["training", "longest_run"].value > values["unseen", "longest_run"].value
    gap = values["training - unseen", "verbatim"]
    assert gap.value == pytest.approx(values["training", "verbatim"].value - values["unseen", "verbatim"].value)
    assert gap.n == len(country.pages) + len(country.unread)


def test_rows_show_the_page_and_what_was_written(learnt: Transformer, tokenizer: Tokenizer, country: Country) -> None:
    table = memorisation(learnt, tokenizer, documents(country.pages), documents(country.unread), SHORT).tables["memorisation"]
    assert dict(table.schema) == ROWS
    pages = country.pages | country.unread
    for row in table.iter_rows(named=True):
        assert pages[row["id"]].startswith(row["prompt"] + row["expected"])
        assert row["right"] == (row["answer"] == row["expected"]) == (row["verbatim"] == 1.0)
        assert (row["verbatim"] > 0) <= row["longest_run"] <= 10
        assert row["logprob"] < 0


def test_a_page_is_extractable_just_where_each_of_its_tokens_is_the_likeliest(
    learnt: Transformer, tokenizer: Tokenizer, country: Country
) -> None:
    """The engine that writes and the one that scores agree: extraction by greedy decoding is a greedy match."""
    pages = documents(country.pages)
    table = memorisation(learnt, tokenizer, pages, pages, SHORT).tables["memorisation"].head(len(pages))
    passages = cut(tokenizer, pages, SHORT)
    scores = score(learnt, [Request([beginning(tokenizer), *one.prompt], one.continuation) for one in passages])
    assert table["right"].to_list() == [one.greedy for one in scores]


def test_passages_are_the_beginnings_of_pages_and_short_pages_are_passed_over(tokenizer: Tokenizer, country: Country) -> None:
    pages = [Document("short", "Al."), *documents(country.pages)]
    passages = cut(tokenizer, pages, SHORT)
    assert [one.id for one in passages] == list(country.pages)
    for one in passages:
        assert (len(one.prompt), len(one.continuation)) == (8, 10)
        assert country.pages[one.id].startswith(tokenizer.decode([*one.prompt, *one.continuation]))
    assert cut(tokenizer, pages, SHORT.model_copy(update={"pages": 2})) == passages[:2]
    long = [Document("long", "a" * 10_000)]
    assert cut(tokenizer, long, SHORT) == cut(tokenizer, [Document("long", "a" * 20_000)], SHORT)


def test_the_longest_run_is_the_longest_common_substring() -> None:
    rng = random.Random(0)
    for _ in range(200):
        one, other = (rng.choices(range(3), k=rng.randint(0, 12)) for _ in range(2))
        expected = SequenceMatcher(None, one, other, autojunk=False).find_longest_match().size
        assert longest_run(one, other) == expected


def test_what_does_not_fit_is_left_out_with_its_reason(learnt: Transformer, tokenizer: Tokenizer, country: Country) -> None:
    pages = documents(country.pages)
    with pytest.raises(
        NotMeasured, match="50 tokens of prompt, 50 of continuation and the first are 101; the model's context is 96"
    ):
        memorisation(learnt, tokenizer, pages, pages, MemorisationConfig())
    with pytest.raises(NotMeasured, match="none of 1 unseen pages has the 18 tokens"):
        memorisation(learnt, tokenizer, pages, [Document("a", "b")], SHORT)
