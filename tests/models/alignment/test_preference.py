"""Answers as a batch, and what a model makes of them."""

import pytest
import torch

from models.alignment.preference import Answer, answer_logprobs, answers
from models.transformer.loss import IGNORED
from models.transformer.shape import Shape
from models.transformer.transformer import Transformer
from models.unusable import Unusable


def test_an_answer_counts_its_own_tokens_whatever_it_is_padded_with() -> None:
    torch.manual_seed(0)
    model = Transformer(Shape(vocab=20, width=16, layers=1, heads=2, kv_heads=1, head_width=8, hidden=32, context=32))
    given = [Answer([1, 2, 3], [4, 5]), Answer([6], [7, 8, 9, 10, 11, 12]), Answer([1, 2], [3, 4, 5], [True, False, True])]
    batch = answers(given)
    assert batch.last.tolist() == [4, 6, 4]
    assert batch.counts.tolist() == [2, 6, 2]
    assert batch.targets[2].tolist() == [IGNORED, 3, IGNORED, 5, IGNORED, IGNORED, IGNORED]
    together = answer_logprobs(model, batch)
    for place, one in enumerate(given):
        ids = torch.tensor([[*one.prompt, *one.completion]])
        logprobs = torch.log_softmax(model(ids[:, :-1]), -1)[0, len(one.prompt) - 1 :]
        each = logprobs.gather(-1, torch.tensor(one.completion)[:, None])[:, 0]
        expected = each[torch.tensor(one.chosen)].sum() if one.chosen is not None else each.sum()
        torch.testing.assert_close(together[place], expected)


@pytest.mark.parametrize("given", [Answer([], [1]), Answer([1], [])])
def test_an_empty_prompt_or_completion_is_refused(given: Answer) -> None:
    with pytest.raises(Unusable, match="empty prompt or completion"):
        answers([given])
