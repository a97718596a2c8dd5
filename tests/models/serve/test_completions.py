"""POST /v1/completions through the official client."""

import openai
import pytest

from models.tokenizer.tokenizer import Tokenizer
from models.transformer.generate import Request, generate
from models.transformer.sampling import GREEDY, Sampling
from models.transformer.score import Request as Pair
from models.transformer.score import score
from models.transformer.transformer import Transformer

SAID = "Hello there. The owl"


def prompt(tokenizer: Tokenizer, text: str = SAID) -> list[int]:
    assert tokenizer.start is not None
    return [tokenizer.start, *tokenizer.encode(text)]


def test_a_completion_is_what_the_engine_writes_for_the_seed(
    client: openai.OpenAI, tokenizer: Tokenizer, model: Transformer
) -> None:
    sampling = Sampling(0.7, top_k=50, top_p=0.9, min_p=0.01, repetition_penalty=1.2)
    request = Request(prompt(tokenizer), 12, sampling, tokenizer.stops, seed=3)
    [expected] = generate(model, [request])
    extra = {"top_k": 50, "min_p": 0.01, "repetition_penalty": 1.2}
    found = client.completions.create(
        model="random", prompt=SAID, max_tokens=12, temperature=0.7, top_p=0.9, seed=3, logprobs=0, extra_body=extra
    )
    [choice] = found.choices
    assert (choice.text, choice.finish_reason) == (tokenizer.decode(expected.tokens), expected.finish_reason)
    assert choice.logprobs is not None
    assert choice.logprobs.token_logprobs == pytest.approx(expected.logprobs, abs=1e-5)
    assert found.usage is not None
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (len(request.prompt), len(expected.tokens))
    assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens


def test_every_prompt_has_n_completions_with_the_seeds_from_its_own_on(client: openai.OpenAI) -> None:
    many = client.completions.create(model="random", prompt=["Hello", "What is"], n=3, max_tokens=8, seed=10, temperature=0.9)
    assert [choice.index for choice in many.choices] == list(range(6))
    for place, choice in enumerate(many.choices):
        text = ["Hello", "What is"][place // 3]
        one = client.completions.create(model="random", prompt=text, max_tokens=8, seed=10 + place % 3, temperature=0.9)
        assert one.choices[0].text == choice.text
    assert len({choice.text for choice in many.choices[:3]}) == 3


def test_what_is_streamed_is_the_completion(client: openai.OpenAI) -> None:
    asked = {"model": "random", "prompt": ["Hello", SAID], "n": 2, "max_tokens": 20, "seed": 4, "logprobs": 2, "echo": True}
    whole = client.completions.create(**asked)
    for wanted in (True, False):
        chunks = list(client.completions.create(**asked, stream=True, stream_options={"include_usage": wanted}))
        last = chunks.pop() if wanted else None
        assert last is None or (last.choices == [] and last.usage == whole.usage)
        for choice in whole.choices:
            parts = [chunk.choices[0] for chunk in chunks if chunk.choices[0].index == choice.index]
            assert len(parts) > 5
            assert "".join(part.text for part in parts) == choice.text
            assert [part.finish_reason for part in parts[:-1]] == [None] * (len(parts) - 1)
            assert parts[-1].finish_reason == choice.finish_reason
            for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
                joined = [one for part in parts for one in getattr(part.logprobs, name)]
                assert joined == getattr(choice.logprobs, name)


def test_likelihoods_are_those_of_the_scorer_and_the_best_token_is_known(
    client: openai.OpenAI, tokenizer: Tokenizer, model: Transformer
) -> None:
    """As lm-evaluation-harness asks: tokens, echo, and one new token that it throws away."""
    context, continuations = prompt(tokenizer, "What is"), [tokenizer.encode(" it? Be"), tokenizer.encode(" the moon")]
    rows = [context + continuation for continuation in continuations]
    for tokens in (0, 1):
        found = client.completions.create(
            model="random", prompt=rows, max_tokens=tokens, temperature=0, logprobs=1, echo=True, seed=1
        )
        expected = score(model, [Pair(context, continuation) for continuation in continuations])
        for choice, row, one in zip(found.choices, rows, expected, strict=True):
            logprobs = choice.logprobs
            assert logprobs is not None
            assert logprobs.token_logprobs is not None
            assert logprobs.top_logprobs is not None
            assert len(logprobs.token_logprobs) == len(row) + tokens
            assert (logprobs.token_logprobs[0], logprobs.top_logprobs[0]) == (None, None)
            part = slice(len(context), len(row))
            assert logprobs.token_logprobs[part] == pytest.approx(one.logprobs, abs=1e-5)
            best = [max(top.values()) for top in logprobs.top_logprobs[part] if top is not None]
            assert (best == logprobs.token_logprobs[part]) == one.greedy
            assert choice.text.startswith(tokenizer.decode(row))


def test_offsets_are_places_in_the_text(client: openai.OpenAI) -> None:
    found = client.completions.create(model="random", prompt="Hello €", max_tokens=6, seed=2, logprobs=1, echo=True)
    [choice] = found.choices
    assert choice.logprobs is not None
    tokens, offsets = choice.logprobs.tokens, choice.logprobs.text_offset
    assert tokens is not None
    assert offsets is not None
    assert tokens[0] == "<|document_start|>"
    for token, at in zip(tokens, offsets, strict=True):
        if not token.startswith(("bytes:", "<|")):
            assert choice.text[at:].startswith(token)


def test_a_stop_string_ends_the_text_before_it(client: openai.OpenAI) -> None:
    asked = {"model": "random", "prompt": SAID, "max_tokens": 40, "seed": 5}
    whole = client.completions.create(**asked).choices[0].text
    middle = len(whole) // 2
    stop = whole[middle : middle + 2]
    cut = client.completions.create(**asked, stop=["never said", stop], logprobs=1)
    [choice] = cut.choices
    assert (choice.text, choice.finish_reason) == (whole[: whole.index(stop)], "stop")
    assert choice.logprobs is not None
    assert len(choice.logprobs.tokens or ()) <= (cut.usage.completion_tokens if cut.usage else 0)
    streamed = client.completions.create(**asked, stop=stop, stream=True)
    assert "".join(chunk.choices[0].text for chunk in streamed) == choice.text


def test_the_end_of_a_document_ends_a_completion_unless_it_is_to_go_on(
    client: openai.OpenAI, tokenizer: Tokenizer, model: Transformer
) -> None:
    seed = next(
        seed
        for seed in range(200)
        if generate(model, [Request(prompt(tokenizer), 40, stops=tokenizer.stops, seed=seed)])[0].finish_reason == "stop"
    )
    asked = {"model": "random", "prompt": SAID, "max_tokens": 40, "seed": seed, "logprobs": 0}
    ended, went_on = (client.completions.create(**asked, extra_body={"ignore_eos": on}) for on in (False, True))
    assert ended.choices[0].finish_reason == "stop"
    assert ended.choices[0].logprobs is not None
    assert (ended.choices[0].logprobs.tokens or [""])[-1] in ("<|document_end|>", "<|im_end|>")
    assert went_on.choices[0].finish_reason == "length"
    assert went_on.choices[0].text.startswith(ended.choices[0].text)
    assert went_on.usage is not None
    assert went_on.usage.completion_tokens == 40


def test_a_completion_ends_with_the_context(client: openai.OpenAI, model: Transformer) -> None:
    row = [7] * (model.shape.context - 3)
    found = client.completions.create(model="random", prompt=row, max_tokens=100, temperature=0, extra_body={"ignore_eos": True})
    assert found.usage is not None
    assert (found.usage.completion_tokens, found.choices[0].finish_reason) == (3, "length")
    [greedy] = generate(model, [Request(row, 3, GREEDY)])
    assert len(greedy.tokens) == 3
    full = client.completions.create(model="random", prompt=[*row, 7, 7, 7], max_tokens=0, logprobs=0, echo=True)
    assert full.choices[0].logprobs is not None
    assert len(full.choices[0].logprobs.tokens or ()) == model.shape.context


def test_without_a_seed_answers_differ(client: openai.OpenAI) -> None:
    asked = {"model": "random", "prompt": "Hello", "max_tokens": 20}
    # An answer that may end at once is empty now and then, and two empty ones are equal.
    answers = [client.completions.create(**asked, extra_body={"ignore_eos": True}) for _ in range(3)]
    assert len({answer.choices[0].text for answer in answers}) == 3
