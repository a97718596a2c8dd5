import random

import pytest
import torch
import torch.nn.functional as F

from models.transformer import score as module
from models.transformer.score import Request, score
from models.transformer.shape import Experts, Shape
from models.transformer.transformer import Transformer
from models.unusable import Unusable

SHAPES = {
    "llama": Shape(vocab=61, width=32, layers=2, heads=4, kv_heads=2, head_width=8, hidden=48, context=24),
    "gpt2": Shape(vocab=61, width=32, layers=2, heads=4, kv_heads=4, head_width=8, hidden=48, context=24, family="gpt2", qk_norm=False),
    "experts": Shape(vocab=61, width=32, layers=2, heads=4, kv_heads=2, head_width=8, hidden=48, context=24, experts=Experts(4, 2, 24)),
}  # fmt: skip


def model(shape: Shape = SHAPES["llama"]) -> Transformer:
    """Random, and far from uniform: what writes into the residual stream is not zero."""
    torch.manual_seed(0)
    made = Transformer(shape)
    for weight in made.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.3)
    return made


def requests(seed: int = 0) -> list[Request]:
    """Contexts of 1 to 40 tokens with 1 to 12 continuations of 1 to 20 tokens each; the model's context is 24."""
    rng = random.Random(seed)

    def ids(most: int) -> list[int]:
        return rng.choices(range(61), k=rng.randint(1, most))

    made = [Request(context, ids(20)) for context in (ids(40) for _ in range(12)) for _ in range(rng.randint(1, 12))]
    rng.shuffle(made)
    return made


def alone(transformer: Transformer, request: Request) -> tuple[torch.Tensor, bool]:
    """The same by one forward pass over one row, as lm-evaluation-harness lays it out."""
    T = transformer.shape.context
    row = torch.tensor([*request.context, *request.continuation])[-(T + 1) :]
    with torch.no_grad():
        logprobs = F.log_softmax(transformer(row[None, :-1])[0].float(), -1)[-len(request.continuation) :]
    targets = torch.tensor(request.continuation)
    return logprobs.gather(1, targets[:, None])[:, 0].double(), bool((logprobs.argmax(1) == targets).all())


@pytest.mark.parametrize("family", SHAPES)
@pytest.mark.parametrize("batch_tokens", [1, 100, 8192])
def test_scores_in_batches_are_those_of_one_request_at_a_time(family: str, batch_tokens: int) -> None:
    transformer, asked = model(SHAPES[family]), requests()
    for request, found in zip(asked, score(transformer, asked, batch_tokens), strict=True):
        logprobs, greedy = alone(transformer, request)
        torch.testing.assert_close(torch.from_numpy(found.logprobs), logprobs, rtol=0, atol=2e-5)
        assert found.greedy == greedy
        assert found.total == pytest.approx(float(logprobs.sum()), abs=1e-4)


def test_a_greedy_continuation_is_known_as_such() -> None:
    transformer = model()
    written = [3, 1, 4]
    while len(written) < 10:
        with torch.no_grad():
            written.append(int(transformer(torch.tensor([written]))[0, -1].argmax()))
    other = [*written[3:9], (written[9] + 1) % 61]
    found = score(
        transformer, [Request(written[:3], written[3:]), Request(written[:3], other), Request(written[:3], written[3:4])]
    )
    assert [one.greedy for one in found] == [True, False, True]


def test_a_context_that_is_too_long_loses_its_beginning_and_says_how_much() -> None:
    transformer = model()
    context = list(range(30))
    found = score(transformer, [Request(context, [7]), Request(context, [7, 8, 9]), Request(context[:5], [7])])
    assert [one.cut for one in found] == [6, 8, 0]  # 24 + 1 tokens stay of context and continuation
    short = score(transformer, [Request(context[8:], [7, 8, 9])])[0]
    assert found[1].logprobs == pytest.approx(short.logprobs, abs=1e-6)


def test_the_longest_continuation_that_fits_keeps_one_token_of_context() -> None:
    found = score(model(), [Request([5, 6], list(range(24)))])[0]
    assert (len(found.logprobs), found.cut) == (24, 1)


def test_continuations_of_one_context_share_its_row_and_never_see_each_other() -> None:
    context, continuations = (1, 2, 3, 4), [(n, n + 1, n + 2) for n in range(5, 25)]
    rows = module._rows([(context, continuation) for continuation in continuations], 24)
    assert max(len(row.continuations) for row in rows) == 10  # 4 + 10 * 2 positions
    assert sum(row.length for row in rows) < sum(len(context) + 2 for _ in continuations) / 2
    transformer = model()
    asked = [Request(context, continuation) for continuation in continuations]
    together = score(transformer, asked)
    assert [one.total for one in together] == pytest.approx([score(transformer, [each])[0].total for each in asked], abs=1e-5)


def test_a_long_vocabulary_is_met_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    transformer, asked = model(), requests(1)
    whole = score(transformer, asked)
    monkeypatch.setattr(module, "LOGITS", 61 * 3)
    assert [one.total for one in score(transformer, asked)] == pytest.approx([one.total for one in whole], abs=1e-4)


def test_bf16_is_near_fp32() -> None:
    transformer, asked = model(), requests(2)
    exact = score(transformer, asked)
    transformer.compute = torch.bfloat16
    rough = score(transformer, asked)
    errors = [abs(a.total - b.total) / len(a.logprobs) for a, b in zip(exact, rough, strict=True)]
    assert 0 < max(errors) < 0.5


def test_same_requests_same_scores_to_the_last_bit() -> None:
    transformer, asked = model(), requests(3)
    first, again = ([one.logprobs.tolist() for one in score(transformer, asked)] for _ in range(2))
    assert first == again
    assert score(transformer, []) == []


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request([], [1]), "a context of 0 and a continuation of 1 tokens; expected one token or more of both"),
        (Request([1], []), "a context of 1 and a continuation of 0 tokens"),
        (Request([1], [2] * 25), "a continuation of 25 tokens, and the model's context is 24"),
    ],
)
def test_what_cannot_be_scored_is_refused(request_: Request, message: str) -> None:
    with pytest.raises(Unusable, match=message):
        score(model(), [request_])
