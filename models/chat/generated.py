"""What a model generated in the assistant's turn, tokens back into messages: the renderer's inverse.

In: the ids behind `<|im_start|>assistant<|im_sep|>` (or behind a result), results that were put in among them. Out: `Generated`: the
messages that render to these tokens, whether the turn has ended, and what is not in the layout. A model may write anything, so every
sequence of ids has messages, and what does not fit leaves a fault:

| fault | taken as |
|---|---|
| a thought, call or result without an end | what there is of it |
| a thought behind content | added to the thought before it, on a line of its own |
| text or a thought right behind a call | behind an empty result |
| any other reserved token out of its place | nothing |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from models.chat.conversation import ASSISTANT, TOOL, Call, Message
from models.chat.renderer import CALLS
from models.tokenizer.reserved import END, RESULT, RESULT_END, THINK, THINK_END, TURN_END
from models.tokenizer.tokenizer import Tokenizer

_ENDS = {THINK: THINK_END, RESULT: RESULT_END, **dict(CALLS.values())}
"""What closes each piece that a reserved token opens."""
_TOOL = {before: tool for tool, (before, _) in CALLS.items()}


@dataclass(frozen=True)
class Generated:
    messages: tuple[Message, ...]
    """The assistant's and, between them, results; one of the assistant at least."""
    finished: bool
    """Whether the turn has ended, rather than the room for it."""
    faults: tuple[str, ...]

    @property
    def answer(self) -> str:
        """What the assistant said last."""
        return self.messages[-1].content if self.messages[-1].role == ASSISTANT else ""


@dataclass
class _Reader:
    """`opened`: the reserved token whose piece is being read; empty in content."""

    messages: list[Message] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    opened: str = ""
    content: str = ""
    thinking: str | None = None
    call: Call | None = None

    def text(self, text: str) -> None:
        if not text:
            return
        if not self.opened:
            self._behind_call("text")
            self.content += text
        elif self.opened == THINK:
            self.thinking = (self.thinking or "") + text
        elif self.opened == RESULT:
            self.messages[-1] = Message(TOOL, self.messages[-1].content + text)
        else:
            self.call = Call(_TOOL[self.opened], (self.call.text if self.call else "") + text)

    def token(self, name: str) -> None:
        if self.opened and name == _ENDS[self.opened]:
            self.opened = ""
        elif name in _ENDS:
            if self.opened:
                self.faults.append(f"{self.opened} has no end")
            self._open(name)
        else:
            self.faults.append(f"{name} is out of its place")

    def _open(self, name: str) -> None:
        self.opened = ""
        if name == RESULT:
            if self.call is None:
                self.faults.append("a result without a call")
                return
            self._close()
            self.messages.append(Message(TOOL))
        else:
            self._behind_call("a thought" if name == THINK else "a call")
            if name == THINK and (self.content or self.thinking is not None):
                self.faults.append("a thought behind content")
            if name == THINK:
                self.thinking = "" if self.thinking is None else f"{self.thinking}\n"
            else:
                self.call = Call(_TOOL[name], "")
        self.opened = name

    def _behind_call(self, what: str) -> None:
        if self.call is not None:
            self.faults.append(f"{what} behind a call that has no result")
            self._close()
            self.messages.append(Message(TOOL))

    def _close(self) -> None:
        self.messages.append(Message(ASSISTANT, self.content, self.thinking, self.call))
        self.content, self.thinking, self.call = "", None, None

    def close(self) -> None:
        if self.opened:
            self.faults.append(f"{self.opened} has no end")
        said = self.content or self.thinking is not None or self.call is not None
        if said or not self.messages:
            self._close()


def generated(ids: Sequence[int], tokenizer: Tokenizer) -> Generated:
    """Reads as far as the first token that ends the turn."""
    names = {index: name for name, index in tokenizer.special.items()}
    stops = {
        index for index in (tokenizer.special.get(TURN_END), tokenizer.special.get(END), *tokenizer.stops) if index is not None
    }
    reader = _Reader()
    first = last = 0
    finished = False
    for last, index in enumerate([*ids, None]):
        if index is not None and index not in names and index not in stops:
            continue
        reader.text(tokenizer.decode(ids[first:last]))
        first = last + 1
        if index is None or index in stops:
            finished = index is not None
            break
        reader.token(names[index])
    reader.close()
    return Generated(tuple(reader.messages), finished, tuple(reader.faults))
