"""A conversation as tokens, and which of them are learnt.

In: the messages of a sound conversation, a tokenizer with the reserved tokens. Out: `Rendered`, in this layout, without newlines:

| what | tokens | learnt |
|---|---|---|
| the beginning, once | START | no |
| system, user | TURN role SEPARATOR content TURN_END | no |
| assistant | TURN role SEPARATOR | no |
| its words | thoughts between THINK and THINK_END, then content | yes |
| its call | the text between PYTHON and PYTHON_END or SEARCH and SEARCH_END | yes |
| what came back | the text between RESULT and RESULT_END, and the assistant goes on in the same turn | no |
| its end | TURN_END, where it calls no more | yes |

Each piece of text is tokenized alone, and the tokens around it are put in by their ids: whatever somebody types, a reserved name is
letters like any other. A message's tokens depend on it and on what came before: the tokens of the first messages of a
conversation are the first tokens of the whole, thoughts of earlier turns included. So a chat can go on where it was, its cache kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from models.chat.conversation import ASSISTANT, PYTHON, SEARCH, TOOL, Message, goes_on
from models.tokenizer import reserved
from models.tokenizer.reserved import RESULT, RESULT_END, SEPARATOR, START, THINK, THINK_END, TURN, TURN_END
from models.tokenizer.tokenizer import Tokenizer
from models.unusable import Unusable

CALLS = {PYTHON: (reserved.PYTHON, reserved.PYTHON_END), SEARCH: (reserved.SEARCH, reserved.SEARCH_END)}
"""What stands before and after a call."""


@dataclass(frozen=True)
class Segment:
    """A text, or one reserved token."""

    text: str
    reserved: bool
    learnt: bool


@dataclass(frozen=True)
class Rendered:
    tokens: list[int]
    mask: list[bool]
    """Of each token, whether it is learnt."""
    ends: list[int]
    """Of each message, how many tokens there are with it and all before it."""


def message_segments(message: Message, opened: bool) -> Iterator[Segment]:
    """`opened`: whether the message goes on in the turn of the one before it."""
    learnt = message.role == ASSISTANT
    if message.role == TOOL:
        yield from _between(RESULT, message.content, RESULT_END, learnt=False)
        return
    if not opened:
        yield from header(message.role)
    if message.thinking is not None:
        yield from _between(THINK, message.thinking, THINK_END, learnt)
    yield Segment(message.content, reserved=False, learnt=learnt)
    if message.call is not None:
        before, after = CALLS[message.call.tool]
        yield from _between(before, message.call.text, after, learnt)
    else:
        yield Segment(TURN_END, reserved=True, learnt=learnt)


def header(role: str) -> Iterator[Segment]:
    yield from _between(TURN, role, SEPARATOR, learnt=False)


def _between(before: str, text: str, after: str, learnt: bool) -> Iterator[Segment]:
    yield Segment(before, reserved=True, learnt=learnt)
    yield Segment(text, reserved=False, learnt=learnt)
    yield Segment(after, reserved=True, learnt=learnt)


def render(messages: Sequence[Message], tokenizer: Tokenizer) -> Rendered:
    return render_all([messages], tokenizer)[0]


def render_all(conversations: Sequence[Sequence[Message]], tokenizer: Tokenizer) -> list[Rendered]:
    """Of each conversation; faster than one by one."""
    laid = [
        [[*message_segments(message, goes_on(messages[:index]))] for index, message in enumerate(messages)]
        for messages in conversations
    ]
    texts = dict.fromkeys(
        segment.text for messages in laid for message in messages for segment in message if not segment.reserved
    )
    ids = dict(zip(texts, tokenizer.encode_batch(list(texts)), strict=True))
    return [_joined(messages, ids, tokenizer) for messages in laid]


def _joined(messages: list[list[Segment]], ids: dict[str, list[int]], tokenizer: Tokenizer) -> Rendered:
    tokens, mask, ends = [control(tokenizer, START)], [False], []
    for message in messages:
        for segment in message:
            found = [control(tokenizer, segment.text)] if segment.reserved else ids[segment.text]
            tokens += found
            mask += [segment.learnt] * len(found)
        ends.append(len(tokens))
    return Rendered(tokens, mask, ends)


def prompt(messages: Sequence[Message], tokenizer: Tokenizer) -> list[int]:
    """The conversation so far and what makes the assistant speak; where its turn is still open it just goes on."""
    tokens = render(messages, tokenizer).tokens
    return tokens if goes_on(messages) else tokens + encode(header(ASSISTANT), tokenizer)


def result(text: str, tokenizer: Tokenizer) -> list[int]:
    """What is put behind a call: the result that came back."""
    return encode(message_segments(Message(TOOL, text), opened=True), tokenizer)


def encode(segments: Iterator[Segment], tokenizer: Tokenizer) -> list[int]:
    tokens: list[int] = []
    for segment in segments:
        tokens += [control(tokenizer, segment.text)] if segment.reserved else tokenizer.encode(segment.text)
    return tokens


def control(tokenizer: Tokenizer, name: str) -> int:
    """The id of a reserved token. Raises Unusable where the tokenizer has none."""
    found = tokenizer.special.get(name)
    if found is None:
        raise Unusable(
            f"the tokenizer has no reserved token {name}, which chats are laid out with; expected a tokenizer that Winnow trained"
        )
    return found
