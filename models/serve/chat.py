"""POST /v1/chat/completions: the assistant's next turn.

Beyond OpenAI's shape, where the model thinks or calls a tool that runs here:

| where | what |
|---|---|
| message.reasoning_content, delta.reasoning_content | what it thinks |
| delta.tool | {"name", "call": text} and {"name", "result": text}: a call and what came back, in pieces as they come |
| choices[].messages | at the end, the whole turn as messages with tool_calls and results: what a client adds to the conversation; a call that came to nothing is not among them |
| choices[].faults | at the end, what of the turn is not in the layout of chats, such as a call without an end |
| logprobs.content[].id | the token's number |

A tool given as a function is run by the client: the turn stops at its call with finish_reason tool_calls, and goes on with the next
request, whose last message is the result.
"""

import secrets
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

from anyio import to_thread

from models.chat.conversation import ASSISTANT, USER, Message, fault
from models.chat.fields import fields
from models.chat.generated import generated
from models.chat.renderer import CALLS, control
from models.chat.tools.answer import answering
from models.serve.asked import AskedChat
from models.serve.conversation import arguments, laid_out, messages, tools
from models.serve.flight import Flight, Order
from models.serve.limits import Limits
from models.serve.refused import Refused
from models.serve.served import Served, seeded
from models.serve.writing import CONTENT, Part, Writing, stopper
from models.transformer.request import Token
from models.unusable import Unusable

LEAST_RESULT = 50
"""Characters of a tool's result, however small the context."""


@dataclass
class Choice:
    writing: Writing
    tokens: list[int] = field(default_factory=list)
    called: str = ""
    """The tool whose result comes next."""
    begun: bool = False
    """Whether its role was told."""


class Chat:
    """One request at work."""

    def __init__(self, served: Served, asked: AskedChat, prompt: list[int], limits: Limits) -> None:
        self.served, self.asked, self.prompt = served, asked, prompt
        self.identity, self.created = f"chatcmpl-{uuid.uuid4().hex}", int(time.time())
        here, self.client = tools(served, asked)
        n = asked.n or 1
        if n > limits.choices:
            raise Refused(f"n is {n}; this server allows {limits.choices}", "n")
        wanted = asked.max_tokens if asked.max_completion_tokens is None else asked.max_completion_tokens
        most = served.room(prompt, wanted, limits, "messages")
        seed = secrets.randbits(31) if asked.seed is None else asked.seed
        tokenizer, pieces = served.tokenizer, served.vocabulary.pieces
        ends = () if asked.ignore_eos else tokenizer.stops
        stops = (*ends, *(control(tokenizer, CALLS[name][1]) for name in self.client))
        # Characters: about a third of the context in tokens.
        answer = answering(here, tokenizer, longest=max(LEAST_RESULT, served.context))
        self.choices: list[Choice] = []
        orders = []
        for number in range(n):
            stop = stopper(Writing(tokenizer, pieces, chat=True, stops=asked.stop)) if asked.stop else None
            top = (asked.top_logprobs or 0) if asked.logprobs else 0
            request = seeded(
                prompt, most, asked.sampling, seed + number, stops=stops, top_logprobs=top, stop_when=stop, answer=answer
            )
            self.choices.append(Choice(Writing(tokenizer, pieces, chat=True, stops=asked.stop)))
            orders.append(Order(request))
        self.flight = Flight(served.batch, orders)

    async def body(self) -> dict[str, Any]:
        parts: list[list[Part]] = [[] for _ in self.choices]
        ends: list[dict[str, Any]] = [{} for _ in self.choices]
        async for index, event in self.flight.events():
            assert isinstance(event, Token)
            parts[index] += self._take(index, event)
            if event.completion is not None:
                ends[index] = self._end(index, event.completion.finish_reason)
        choices = []
        for index, (said, end) in enumerate(zip(parts, ends, strict=True)):
            thought = [text for part in said for what, text in part.pieces if what == "thinking"]
            calls = end.pop("tool_calls")
            message: dict[str, Any] = {"role": ASSISTANT, "content": "".join(part.content for part in said), "refusal": None}
            if thought:
                message["reasoning_content"] = "".join(thought)
            if calls:
                message |= {"tool_calls": calls, "content": message["content"] or None}
            choices.append({"index": index, "message": message, "logprobs": self._logprobs(said), **end})
        return self._around("chat.completion", choices) | {"usage": self._usage()}

    async def chunks(self) -> AsyncIterator[dict[str, Any]]:
        async for index, event in self.flight.events():
            assert isinstance(event, Token)
            choice = self.choices[index]
            for part in self._take(index, event):
                deltas = [delta for what, text in part.pieces if (delta := self._delta(choice, what, text)) is not None]
                if not deltas and part.entries:
                    deltas = [{}]
                for place, delta in enumerate(deltas):
                    if not choice.begun:
                        choice.begun = True
                        delta = {"role": ASSISTANT, "content": "", **delta}
                    yield self._chunk(index, delta, self._logprobs([part] if place == 0 else []))
            if event.completion is not None:
                end = self._end(index, event.completion.finish_reason)
                calls = end.pop("tool_calls")
                begin = {} if choice.begun else {"role": ASSISTANT, "content": ""}
                delta = begin | ({"tool_calls": [{"index": 0, **call} for call in calls]} if calls else {})
                yield self._chunk(index, delta, None, **end)
        if self.asked.stream_options is not None and self.asked.stream_options.include_usage:
            yield self._around("chat.completion.chunk", []) | {"usage": self._usage()}

    def _take(self, index: int, event: Token) -> list[Part]:
        choice = self.choices[index]
        choice.tokens.append(event.token)
        entry = None
        if self.asked.logprobs and event.chosen:
            entry = self.served.vocabulary.entry(event)
        parts = [choice.writing.add(event.token, entry)]
        if event.completion is not None:
            parts.append(choice.writing.end())
        return parts

    def _delta(self, choice: Choice, what: str, text: str) -> dict[str, Any] | None:
        if what == CONTENT:
            return {"content": text} if text else None
        if what == "thinking":
            return {"reasoning_content": text}
        if what == "result":
            return {"tool": {"name": choice.called, "result": text}}
        choice.called = what
        return None if what in self.client else {"tool": {"name": what, "call": text}}

    def _end(self, index: int, reason: str) -> dict[str, Any]:
        """How a choice ends: why, the turn's messages, and calls that are the client's to make."""
        choice = self.choices[index]
        turn = generated(choice.tokens, self.served.tokenizer)
        said = list(turn.messages)
        if choice.writing.stopped:
            said[-1] = _cut(said[-1], self.asked.stop)
        call = said[-1].call
        calls = []
        if call is not None and call.text.strip() and call.tool in self.client and reason == "stop":
            reason = "tool_calls"
            if fault([Message(USER, "?"), *said]) is not None:
                said = [replace(said[-1], content=_content(said))]
            text = arguments(call.tool, call.text, self.client[call.tool])
            function = {"name": call.tool, "arguments": text}
            calls = [{"id": f"call_{uuid.uuid4().hex[:24]}", "type": "function", "function": function}]
        else:
            said = _whole(said)
        return {
            "finish_reason": reason, "messages": [fields(one) for one in said], "faults": list(turn.faults), "tool_calls": calls,
        }  # fmt: skip

    def _logprobs(self, parts: list[Part]) -> dict[str, Any] | None:
        if not self.asked.logprobs:
            return None
        found = [self.served.vocabulary.chat(entry) for part in parts for _, entry in part.entries]
        return {"content": found, "refusal": None}

    def _chunk(self, index: int, delta: dict[str, Any], logprobs: dict[str, Any] | None, **end: Any) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": None, **end}
        return self._around("chat.completion.chunk", [choice])

    def _around(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.identity, "object": kind, "created": self.created, "model": self.served.name, "choices": choices,
        }  # fmt: skip

    def _usage(self) -> dict[str, int]:
        read, written = len(self.prompt), sum(len(choice.tokens) for choice in self.choices)
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _whole(said: list[Message]) -> list[Message]:
    """A turn behind which the user may speak: without a call that came to nothing, and where that is not enough, what was said alone."""
    last = replace(said[-1], call=None)
    turn = [*said[:-1], *([last] if last.content.strip() or last.thinking is not None else [])]
    if turn and fault([Message(USER, "?"), *turn, Message(USER, "?")]) is None:
        return turn
    content = _content(said)
    return [Message(ASSISTANT, content)] if content.strip() else []


def _content(said: list[Message]) -> str:
    return "".join(one.content for one in said if one.role == ASSISTANT)


def _cut(message: Message, stops: tuple[str, ...]) -> Message:
    """Without the stop string, and what came behind it in the same token."""
    ends = [at for stop in stops if (at := message.content.find(stop)) >= 0]
    return Message(message.role, message.content[: min(ends)], message.thinking) if ends else message


async def chat(served: Served, asked: AskedChat, limits: Limits) -> Chat:
    """Raises Refused."""
    here, client = tools(served, asked)
    whole = messages(asked, here, client)
    try:
        prompt = await to_thread.run_sync(laid_out, served, asked, whole)
    except Unusable as error:
        raise Refused(f"{served.name} is no chat model: {error}; /v1/completions answers for it", "model") from None
    return Chat(served, asked, prompt, limits)
