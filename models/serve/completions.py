"""POST /v1/completions: how a model goes on from texts or tokens, and how likely it finds them.

A text is read as a document's beginning: the token that begins a document is put before it, if the tokenizer has one. Tokens are taken as
they are. With `echo` the prompt comes first, in the text and, with `logprobs`, in the log-probabilities: the first token's is null.
With max_tokens 0 the prompt's are all there is: what evaluations by likelihood (lm-evaluation-harness) ask for.
"""

import secrets
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from anyio import to_thread

from models.serve.asked import AskedCompletion
from models.serve.flight import Flight, Order
from models.serve.limits import Limits
from models.serve.refused import Refused
from models.serve.scores import PromptScores
from models.serve.served import Served, seeded
from models.serve.vocabulary import Entry
from models.serve.writing import Plain, Writing, stopper
from models.transformer.request import Token

DEFAULT_TOKENS = 16


@dataclass
class Choice:
    prompt: list[int]
    shown: str
    """The prompt as text, where it is echoed."""
    writing: Writing
    entries: list[tuple[int, Entry]] = field(default_factory=list)
    """Not given yet."""
    text: str = ""
    """Not given yet."""
    tokens: int = 0
    reason: str | None = None


class Completions:
    """One request at work."""

    def __init__(self, served: Served, asked: AskedCompletion, prompts: list[list[int]], limits: Limits) -> None:
        self.served, self.asked, self.prompts = served, asked, prompts
        self.identity, self.created = f"cmpl-{uuid.uuid4().hex}", int(time.time())
        n = asked.n or 1
        if len(prompts) * n > limits.choices:
            raise Refused(
                f"{len(prompts)} prompts, {n} times each, are more than {limits.choices} completions; ask for fewer", "n"
            )
        tokens = DEFAULT_TOKENS if asked.max_tokens is None else asked.max_tokens
        seed = secrets.randbits(31) if asked.seed is None else asked.seed
        pieces = served.vocabulary.pieces
        score = asked.logprobs if asked.echo else None
        self.choices: list[Choice] = []
        orders = []
        for prompt in prompts:
            most = served.room(prompt, tokens, limits, "prompt") if tokens else 1
            served.fits(len(prompt), served.context, "prompt")
            for number in range(n):
                writing = Writing(served.tokenizer, pieces, chat=False, stops=asked.stop)
                stop = stopper(Writing(served.tokenizer, pieces, chat=False, stops=asked.stop)) if asked.stop else None
                stops = () if asked.ignore_eos else served.tokenizer.stops
                request = seeded(
                    prompt, most, asked.sampling, seed + number, stops=stops, top_logprobs=asked.logprobs or 0, stop_when=stop
                )
                shown = text_of(served, prompt) if asked.echo else ""
                self.choices.append(Choice(prompt, shown, writing, text=shown))
                orders.append(Order(request, score, generate=tokens > 0))
        for choice in self.choices:
            if not tokens:
                choice.reason = "length"
        # What has neither to be scored nor generated needs no place.
        self.flight = Flight(served.batch, [order for order in orders if order.generate or order.score is not None])

    async def body(self) -> dict[str, Any]:
        async for index, event in self.flight.events():
            self._take(index, event)
        choices = [self._document(index) for index in range(len(self.choices))]
        return self._around(choices) | {"usage": self._usage()}

    async def chunks(self) -> AsyncIterator[dict[str, Any]]:
        if self.asked.echo and self.asked.logprobs is None:
            for index, choice in enumerate(self.choices):
                if choice.reason is None:
                    yield self._around([self._document(index)])
        async for index, event in self.flight.events():
            self._take(index, event)
            choice = self.choices[index]
            if isinstance(event, Token) and (choice.text or choice.entries or choice.reason):
                yield self._around([self._document(index)])
        if self.asked.max_tokens == 0:
            for index in range(len(self.choices)):
                yield self._around([self._document(index)])
        if self.asked.stream_options is not None and self.asked.stream_options.include_usage:
            yield self._around([]) | {"usage": self._usage()}

    def _take(self, index: int, event: Token | PromptScores) -> None:
        choice = self.choices[index]
        if isinstance(event, PromptScores):
            choice.entries += _echoed(self.served, choice.prompt, event)
            return
        wanted = self.asked.logprobs is not None
        part = choice.writing.add(event.token, self.served.vocabulary.entry(event) if wanted else None)
        choice.tokens += 1
        parts = [part]
        if event.completion is not None:
            parts.append(choice.writing.end())
            choice.reason = event.completion.finish_reason
        begin = len(choice.shown)
        for one in parts:
            choice.text += one.content
            choice.entries += [(begin + at, entry) for at, entry in one.entries]

    def _document(self, index: int) -> dict[str, Any]:
        """What is new of a choice."""
        choice = self.choices[index]
        logprobs = None
        if self.asked.logprobs is not None:
            logprobs = self.served.vocabulary.completion(choice.entries, best=self.asked.logprobs > 0)
        document = {"index": index, "text": choice.text, "logprobs": logprobs, "finish_reason": choice.reason}
        choice.text, choice.entries = "", []
        return document

    def _around(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.identity,
            "object": "text_completion",
            "created": self.created,
            "model": self.served.name,
            "choices": choices,
        }

    def _usage(self) -> dict[str, int]:
        read, written = sum(map(len, self.prompts)), sum(choice.tokens for choice in self.choices)
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


async def completions(served: Served, asked: AskedCompletion, limits: Limits) -> Completions:
    """Raises Refused."""
    prompts = await to_thread.run_sync(_tokens, served, asked.prompt)
    return Completions(served, asked, prompts, limits)


def _tokens(served: Served, prompts: Sequence[str] | Sequence[list[int]]) -> list[list[int]]:
    vocab = served.batch.model.shape.vocab
    begin = [] if served.tokenizer.start is None else [served.tokenizer.start]
    texts = iter(served.tokenizer.encode_batch([prompt for prompt in prompts if isinstance(prompt, str)]))
    found = []
    for prompt in prompts:
        ids = [*begin, *next(texts)] if isinstance(prompt, str) else prompt
        if not ids:
            raise Refused("the prompt is empty, and this model knows no token that begins a document; give a text", "prompt")
        wrong = next((token for token in ids if not 0 <= token < vocab), None)
        if wrong is not None:
            raise Refused(f"the prompt holds the token {wrong}; the model knows 0 .. {vocab - 1}", "prompt")
        found.append(ids)
    return found


def text_of(served: Served, tokens: Sequence[int]) -> str:
    parts: list[str] = []
    plain = Plain(served.vocabulary.pieces, lambda what, text: parts.append(text))
    for token in tokens:
        plain.read(token)
    plain.end()
    return "".join(parts)


def _echoed(served: Served, prompt: list[int], scores: PromptScores) -> list[tuple[int, Entry]]:
    """The prompt's tokens, each with the character at which it begins."""
    at = 0
    places: list[int] = []

    def heard(what: str, text: str) -> None:
        nonlocal at
        at += len(text)

    plain = Plain(served.vocabulary.pieces, heard)
    for token in prompt:
        places.append(at)
        plain.read(token)
    logprobs: list[float | None] = [None, *scores.logprobs]
    entries = [Entry(token, logprob, top) for token, logprob, top in zip(prompt, logprobs, [[], *scores.top], strict=True)]
    return list(zip(places, entries, strict=True))
