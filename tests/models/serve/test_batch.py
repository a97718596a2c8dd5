"""One thread, many requests: joining, leaving, failing."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from models.serve.batch import Batch, Event, Full, Work
from models.serve.scores import PromptScores
from models.transformer.generate import generate
from models.transformer.request import Request, Token
from models.transformer.sampling import Sampling
from models.transformer.transformer import Transformer
from tests.models.serve.server import random_model, until


@contextmanager
def batch(model: Transformer, places: int = 3, most_waiting: int = 100) -> Iterator[Batch]:
    made = Batch(model, places, most_waiting, threads=1)
    yield made
    made.close()


class Heard:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.done = threading.Event()

    def tell(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Exception) or (isinstance(event, Token) and event.completion is not None):
            self.done.set()

    @property
    def tokens(self) -> list[int]:
        assert self.done.wait(60)
        return [event.token for event in self.events if isinstance(event, Token)]


def works(requests: Sequence[Request], **given: Any) -> tuple[list[Work], list[Heard]]:
    heard = [Heard() for _ in requests]
    return [Work(request, one.tell, **given) for request, one in zip(requests, heard, strict=True)], heard


def requests(count: int, tokens: int = 20) -> list[Request]:
    drawn = torch.Generator().manual_seed(5)
    sizes = torch.randint(1, 60, (count,), generator=drawn).tolist()
    return [
        Request(torch.randint(0, 330, (size,), generator=drawn).tolist(), tokens, Sampling(0.8), seed=index)
        for index, size in enumerate(sizes)
    ]


def test_a_request_says_the_same_alone_and_in_any_company(model: Transformer) -> None:
    asked = requests(12)
    with batch(model, places=5) as made:
        alone = []
        for request in asked:
            [work], [heard] = works([request])
            made.submit([work])
            alone.append(heard.tokens)
        together, heards = works([*asked, *reversed(asked), asked[3], asked[3]])
        for work in together:
            made.submit([work])
        found = [heard.tokens for heard in heards]
    assert found == [*alone, *reversed(alone), alone[3], alone[3]]
    assert alone == [one.tokens for one in generate(model, asked)]


def test_a_cancelled_request_leaves_at_once_and_a_waiting_one_never_begins(model: Transformer) -> None:
    endless = [Request([7], 400, seed=seed) for seed in range(3)]
    with batch(model, places=2) as made:
        asked, heard = works(endless)
        made.submit(asked)
        until(lambda: heard[0].events and heard[1].events)
        assert made.load == (2, 1)
        made.cancel([asked[0], asked[2]])
        until(lambda: made.load == (1, 0))
        assert (len(heard[0].events) < 400, heard[2].events) == (True, [])
        assert len(heard[1].tokens) == 400
        made.cancel(asked)  # nothing of them is left


def test_no_more_wait_than_may(model: Transformer) -> None:
    with batch(model, places=1, most_waiting=2) as made:
        asked, heard = works([Request([7], 400, seed=seed) for seed in range(3)])
        made.submit(asked)
        until(lambda: heard[0].events)
        more, _ = works([Request([8], 1)])
        with pytest.raises(Full, match="1 requests are at work and 2 wait"):
            made.submit(more)
        made.cancel(asked[:2])
        until(lambda: made.load == (1, 0))
        made.submit(more)
        made.cancel(asked)


def test_what_breaks_one_step_is_told_to_all_at_work_and_the_next_request_is_served(model: Transformer) -> None:
    def breaks(tokens: Sequence[int]) -> bool:
        if len(tokens) == 5:
            raise ArithmeticError("for the test")
        return False

    with batch(model, places=2) as made:
        asked, heard = works([Request([7], 400, seed=1), Request([7], 400, stop_when=breaks), Request([9], 3)])
        made.submit(asked)
        assert len(heard[2].tokens) == 3, "it waited, so it was not at work"
        for one in heard[:2]:
            assert isinstance(one.events[-1], ArithmeticError)
        again, [whole] = works([Request([7], 4)])
        made.submit(again)
        assert len(whole.tokens) == 4


def test_a_request_that_the_engine_refuses_harms_no_other(model: Transformer) -> None:
    with batch(model) as made:
        asked, heard = works([Request([7], 5), Request([99_999], 5), Request([], 5), Request([8], 5)])
        made.submit(asked)
        assert [len(heard[index].tokens) for index in (0, 3)] == [5, 5]
        assert [heard[index].done.wait(60) and str(heard[index].events[0])[:16] for index in (1, 2)] == [
            "the prompt holds",
            "the prompt is em",
        ]


def test_the_prompts_log_probabilities_come_first_and_alone_where_nothing_is_generated(model: Transformer) -> None:
    prompt = [5, 9, 200, 3, 3]
    with torch.inference_mode():
        expected = model(torch.tensor([prompt]))[0, :-1].log_softmax(-1)
    with batch(model) as made:
        both, [heard] = works([Request(prompt, 2)], score=2)
        alone, [scored] = works([Request(prompt, 1)], score=0, generate=False)
        made.submit([*both, *alone])
        assert len(heard.tokens) == 2
        until(lambda: scored.events)
        until(lambda: made.load == (0, 0))
    first, other = heard.events[0], scored.events[0]
    assert isinstance(first, PromptScores)
    assert isinstance(other, PromptScores)
    assert len(scored.events) == 1
    assert first.logprobs == pytest.approx(expected.gather(1, torch.tensor(prompt[1:])[:, None])[:, 0].tolist(), abs=1e-5)
    assert [[token for token, _ in best] for best in first.top] == expected.topk(2).indices.tolist()
    assert (other.logprobs, other.top) == (first.logprobs, [[]] * 4)


def test_at_the_end_all_are_told_and_nothing_more_is_taken(model: Transformer) -> None:
    asked, heard = works([Request([7], 400), Request([7], 400)])
    with batch(model, places=1) as made:
        made.submit(asked)
        until(lambda: heard[0].events)
        made.close()
        assert [str(one.events[-1]) for one in heard] == ["the server is stopping"] * 2
        with pytest.raises(RuntimeError, match="the server is stopping"):
            made.submit(asked)


def test_an_engine_that_cannot_be_made_is_told_to_whoever_asked_for_it() -> None:
    with pytest.raises(Exception, match="negative"):
        Batch(random_model(330), places=-1)
