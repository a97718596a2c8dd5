"""A chat with a model: its history, one turn at a time, streamed; what does not fit the context any more is left out, oldest first.

What a person or a tool says is tokenized as text, so a reserved token's name in it is letters like any other (models/chat/renderer.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from models.chat.context import excess, without
from models.chat.conversation import ASSISTANT, SYSTEM, USER, Call, Message, fault
from models.chat.generated import generated
from models.chat.reader import Piece, Reader
from models.chat.renderer import prompt, render
from models.chat.tools.answer import answering
from models.chat.tools.tool import Tool, listing
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.generate import Request, stream
from models.transformer.sampling import Sampling
from models.transformer.transformer import Transformer
from storage.problem import Problem

LEAST_ANSWER = 16
"""Tokens that must be left for an answer."""
LEAST_RESULT = 50
"""Characters of a tool's result, however small the context."""


@dataclass(frozen=True)
class Turn:
    said: tuple[Message, ...]
    """The assistant's messages, with results between them; empty where it said nothing."""
    finished: bool
    """Whether it came to its end by itself."""
    calls: list[tuple[Call, str]]
    left_out: int
    """Messages of the history that did not fit."""
    kept: str | None
    """Why the exchange is not in the history; null where it is."""

    @property
    def answer(self) -> str:
        return self.said[-1].content if self.said and self.said[-1].role == ASSISTANT else ""


@dataclass
class Talker:
    model: Transformer
    tokenizer: Tokenizer
    tools: Sequence[Tool] = ()
    system: str = ""
    sampling: Sampling = field(default_factory=lambda: Sampling(temperature=0))
    tokens: int = 200
    """Most of a turn, results included."""
    seed: int = 0
    history: list[Message] = field(default_factory=list)
    """Without the system message."""

    @property
    def messages(self) -> tuple[Message, ...]:
        told = "\n\n".join(part for part in (self.system.strip(), listing(self.tools)) if part)
        return (Message(SYSTEM, told), *self.history) if told else tuple(self.history)

    def reset(self) -> None:
        self.history.clear()

    def say(self, text: str, piece: Piece = lambda what, text: None) -> Turn:
        """One exchange. It is kept where it is whole enough to go on from. Ctrl-C ends the answer. Raises Problem where there is no room."""
        before = (*self.messages, Message(USER, text))
        tokens, left_out = self._fitted(before)
        calls: list[tuple[Call, str]] = []
        longest = max(LEAST_RESULT, self.model.shape.context)  # characters: about a third of the context in tokens
        answer = answering(self.tools, self.tokenizer, longest=longest, told=lambda call, result: calls.append((call, result)))
        seed = self.seed + len(self.history)
        request = Request(tokens, self.tokens, self.sampling, self.tokenizer.stops, seed, answer=answer)
        ids: list[int] = []
        reader = Reader(self.tokenizer, piece)
        try:
            for event in stream(self.model, [request]):
                ids.append(event.token)
                reader.read(event.token)
        except KeyboardInterrupt:
            pass
        reader.end()
        made = generated(ids, self.tokenizer)
        said = _whole(made.messages)
        why = None
        if not said:
            why = "nothing was said to go on from"
        elif found := fault((*before, *said)):
            why = found.detail
        if why is None:
            self.history += [Message(USER, text), *said]
        return Turn(made.messages if ids else (), made.finished, calls, left_out, why)

    def _fitted(self, messages: tuple[Message, ...]) -> tuple[list[int], int]:
        rendered = render(messages, self.tokenizer)
        opening = len(prompt(messages, self.tokenizer)) - len(rendered.tokens)
        count = excess(messages, rendered.ends, self.model.shape.context - LEAST_ANSWER - opening)
        if count is None:
            alone = prompt([*(one for one in messages[:1] if one.role == SYSTEM), messages[-1]], self.tokenizer)
            raise Problem(
                f"the system message and what you say alone take {len(alone):,} tokens, the model's context is "
                f"{self.model.shape.context:,}: no room for an answer is left. Say it in fewer words"
            )
        return prompt(without(messages, count), self.tokenizer), count


def _whole(messages: Sequence[Message]) -> tuple[Message, ...]:
    """As far as the assistant's last words that are no call."""
    kept = list(messages)
    while kept and (kept[-1].role != ASSISTANT or kept[-1].call is not None or not _says(kept[-1])):
        kept.pop()
    return tuple(kept)


def _says(message: Message) -> bool:
    return bool(message.content.strip()) or message.thinking is not None
