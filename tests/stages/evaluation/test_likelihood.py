import math

import pytest

from models.tokenizer.tokenizer import Tokenizer
from models.transformer.transformer import Transformer
from stages.evaluation.likelihood import alternatives, beginning, best, pair, scored
from storage.problem import Problem


def test_alternatives_share_all_tokens_with_which_they_begin(tokenizers: list[Tokenizer]) -> None:
    texts = ["Zolek keeps a sheep.", "Zolek keeps an owl.", "Zolek keeps a crow."]
    for tokenizer in tokenizers:
        requests = alternatives(tokenizer, texts)
        assert len({tuple(request.context) for request in requests}) == 1
        assert requests[0].context[0] == tokenizer.start
        for text, request in zip(texts, requests, strict=True):
            assert [*request.context, *request.continuation] == [tokenizer.start, *tokenizer.encode(text)]
        assert len({request.continuation[0] for request in requests}) > 1


@pytest.mark.parametrize("texts", [["ab", "ab ab"], ["x", "y"], ["same", "same"]])
def test_each_alternative_has_something_to_predict(tokenizer: Tokenizer, texts: list[str]) -> None:
    for text, request in zip(texts, alternatives(tokenizer, texts), strict=True):
        assert request.context
        assert request.continuation
        assert tokenizer.decode([*request.context, *request.continuation]) == text


@pytest.mark.parametrize(
    ("context", "continuation"), [("Where does Zolek live?", " In a town"), ("Answer: ", "a town"), ("", "Zolek"), ("  ", "x")]
)
def test_a_pair_is_cut_as_the_harness_cuts_it(tokenizer: Tokenizer, context: str, continuation: str) -> None:
    request = pair(tokenizer, context, continuation)
    assert request.context == [beginning(tokenizer), *tokenizer.encode(context.rstrip())]
    assert tokenizer.decode([*request.context, *request.continuation]) == context + continuation


def test_a_pair_whose_border_lies_within_a_token_is_cut_by_number(tokenizer: Tokenizer) -> None:
    """ "Gro" + "bford" may be other tokens together than apart: those of both together count, as in the harness."""
    whole, before = tokenizer.encode("Question: Where"), tokenizer.encode("Ques")
    assert whole[: len(before)] != before
    assert pair(tokenizer, "Ques", "tion: Where").continuation == whole[len(before) :]


def test_scores_come_back_set_by_set(tokenizer: Tokenizer, fresh: Transformer) -> None:
    sets = [alternatives(tokenizer, ["a b", "a c"]), [], alternatives(tokenizer, ["Zolek", "a town", "owls"])]
    found = scored(fresh, sets)
    assert [len(scores) for scores in found] == [2, 0, 3]
    assert found[2][1] == pytest.approx(scored(fresh, [[sets[2][1]]])[0][0])
    assert all(total < 0 and cut == 0 for scores in found for total, cut in scores)


def test_the_best_is_the_first_of_equals_and_may_be_per_byte() -> None:
    assert best([-2.0, -1.0, -1.0]) == 1
    assert best([-2.0, -3.0], [1, 2]) == 1
    with pytest.raises(Problem, match="log-probabilities that are no numbers"):
        best([-1.0, math.nan])
