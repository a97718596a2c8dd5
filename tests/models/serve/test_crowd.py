"""Many clients at once: those that wait, those that are too many, those that go, and those that send a megabyte."""

import asyncio
from typing import Any

import httpx
import openai
import pytest

from models.tokenizer.tokenizer import Tokenizer
from models.transformer.transformer import Transformer
from tests.models.serve.server import running, served, until

ASKS: Any = [{"role": "user", "content": "What is it?"}]


def client(address: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0, timeout=60)


def test_a_hundred_at_once_are_all_served_and_each_as_if_it_were_alone(tokenizer: Tokenizer, model: Transformer) -> None:
    async def ask(asking: openai.AsyncOpenAI, number: int) -> str:
        asked: Any = {"model": "random", "max_tokens": 12, "seed": number % 25}
        text = f"Hello {number % 25}"
        if number % 2:
            parts = [chunk async for chunk in await asking.completions.create(prompt=text, stream=True, **asked)]
            return "".join(part.choices[0].text for part in parts)
        return (await asking.completions.create(prompt=text, **asked)).choices[0].text

    async def crowd(address: str) -> tuple[list[str], list[str]]:
        async with client(address) as asking:
            alone = [await ask(asking, number) for number in range(25)]
            together = await asyncio.gather(*(ask(asking, number) for number in range(100)))
        return alone, together

    with running([served("random", tokenizer, model, places=8)]) as address:
        alone, together = asyncio.run(crowd(address))
    assert together == alone * 4


def test_a_full_queue_says_so(tokenizer: Tokenizer, model: Transformer) -> None:
    made = served("random", tokenizer, model, places=1, most_waiting=2)
    with running([made]) as address:
        body = {"model": "random", "prompt": "Hello", "max_tokens": 500, "ignore_eos": True, "stream": True}
        with (
            httpx.stream("POST", f"{address}/v1/completions", json=body) as first,
            httpx.stream("POST", f"{address}/v1/completions", json=body | {"n": 2}) as second,
        ):
            until(lambda: made.batch.load == (1, 2))
            assert (first.status_code, second.status_code) == (200, 200)
            with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as asking:
                with pytest.raises(openai.RateLimitError) as refused:
                    asking.completions.create(model="random", prompt="Hello", max_tokens=1)
                assert refused.value.code == "queue_full"
                assert refused.value.response.headers["retry-after"] == "1"
                with pytest.raises(openai.BadRequestError, match="room for 3"):
                    asking.completions.create(model="random", prompt="Hello", max_tokens=1, n=4)
        until(lambda: made.batch.load == (0, 0))
        with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as asking:
            assert asking.completions.create(model="random", prompt="Hello", max_tokens=1).usage is not None


@pytest.mark.parametrize("stream", [True, False])
def test_who_goes_frees_a_place_at_work_and_a_place_in_the_queue(tokenizer: Tokenizer, model: Transformer, stream: bool) -> None:
    made = served("random", tokenizer, model, places=1)

    async def go(address: str) -> None:
        body = {"model": "random", "messages": ASKS, "ignore_eos": True, "stream": stream, "n": 5}
        async with httpx.AsyncClient(timeout=60) as asking:
            asks = [asyncio.create_task(asking.post(f"{address}/v1/chat/completions", json=body)) for _ in range(3)]
            while made.batch.load != (1, 14):
                await asyncio.sleep(0.005)
            for one in asks:
                one.cancel()
            await asyncio.gather(*asks, return_exceptions=True)
            while made.batch.load != (0, 0):
                await asyncio.sleep(0.005)
            short = await asking.post(f"{address}/v1/completions", json={"model": "random", "prompt": "Hello", "max_tokens": 1})
            assert short.status_code == 200

    with running([made]) as address:
        asyncio.run(asyncio.wait_for(go(address), 60))


def test_a_megabyte_is_read_and_refused_while_others_are_served(tokenizer: Tokenizer, model: Transformer) -> None:
    async def go(address: str) -> None:
        async with client(address) as asking:
            for text in ("a" * 1_000_000, "née €" * 150_000, "The owl sees. " * 75_000):
                large = asyncio.create_task(asking.completions.create(model="random", prompt=text, max_tokens=1))
                huge: Any = [{"role": "user", "content": text}]
                chat = asyncio.create_task(asking.chat.completions.create(model="random", messages=huge, max_tokens=1))
                small = await asking.completions.create(model="random", prompt="Hello", max_tokens=3)
                assert small.choices
                for one in (large, chat):
                    with pytest.raises(openai.BadRequestError) as refused:
                        await one
                    assert refused.value.code == "context_length_exceeded"

    with running([served("random", tokenizer, model)]) as address:
        asyncio.run(asyncio.wait_for(go(address), 60))


def test_what_breaks_is_told_in_the_stream_and_out_of_it(tokenizer: Tokenizer, model: Transformer) -> None:
    damaged = type(model)(model.shape)
    damaged.load_state_dict({name: weight * float("nan") for name, weight in model.state_dict().items()})
    with (
        running([served("damaged", tokenizer, damaged)]) as address,
        openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as asking,
    ):
        with pytest.raises(openai.InternalServerError, match="logits that are not numbers"):
            asking.completions.create(model="damaged", prompt="Hello")
        with pytest.raises(openai.APIError, match="logits that are not numbers"):
            list(asking.completions.create(model="damaged", prompt="Hello", stream=True))


def test_a_model_whose_batch_has_ended_says_so(tokenizer: Tokenizer, model: Transformer) -> None:
    made = served("random", tokenizer, model)
    with running([made]) as address, openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as asking:
        made.batch.close()
        with pytest.raises(openai.InternalServerError, match="served no more: the server is stopping"):
            asking.completions.create(model="random", prompt="Hello")
