"""Rows of the common datasets of instructions and chats, recognised by their fields.

| shape | fields |
|---|---|
| messages | messages (or conversation): list of {role, content} as OpenAI and Hugging Face have them |
| sharegpt | conversations: list of {from, value} |
| alpaca | instruction, output (or response); optional input, system, history |
| prompt_completion | prompt, completion (or response), each a text or a list of messages |
| question_answer | question, answer: GSM8K, whose calculator notes `<<48/2=24>>` are left out |

Where prompts alone are enough, rows whose answer is missing or empty are read as well: instruction (with its input and history), prompt
or question are what is asked.

Beside any of them: `system` (or system_prompt) is the system message, `tools` are listed in it. Rows with `chosen` and `rejected` are
preferences, two answers of which one is better: no conversation, and told so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from models.chat.conversation import ASSISTANT, SYSTEM, USER, Message, fault
from stages.posttraining.files import Unread
from stages.posttraining.functions import listed
from stages.posttraining.turns import parted, text, turns
from stages.posttraining.unfit import Unfit

Row = Mapping[str, Any]
_CALCULATED = re.compile(r"<<[^<>\n]*>>")
_EXPECTED = "messages; conversations; instruction and output; prompt and completion; or question and answer"


def expected(answered: bool) -> str:
    return _EXPECTED if answered else f"{_EXPECTED}; an instruction, prompt or question alone is enough"


@dataclass(frozen=True)
class Loaded:
    messages: tuple[Message, ...] = ()
    """What could be read of them."""
    shape: str | None = None
    reason: str | None = None
    """Why the row is no conversation to learn from; null where it is one."""
    detail: str | None = None


def load(row: Any, answered: bool = True) -> Loaded:
    """Never raises: a row that is no conversation has a reason. `answered`: whether the assistant has to say something."""
    if isinstance(row, Unread):
        return Loaded(reason="unreadable", detail=row.why)
    if not isinstance(row, Mapping):
        return Loaded(reason="unrecognised", detail=f"the row is {type(row).__name__}; expected an object")
    name, read = shape(row, answered)
    messages: tuple[Message, ...] = ()
    try:
        messages = _with_system(row, read(row))
    except Unfit as unfit:
        return Loaded((), name, unfit.reason, unfit.detail)
    if not answered and len(messages) > 1 and _silent(messages[-1]):
        messages = messages[:-1]
    if found := fault(messages):
        return Loaded(messages, name, found.reason, found.detail)
    if answered and not any(message.role == ASSISTANT for message in messages):
        return Loaded(messages, name, "no_answer", "the assistant says nothing; expected a turn of it to learn")
    return Loaded(messages, name)


def shape(row: Row, answered: bool = True) -> tuple[str | None, Callable[[Row], tuple[Message, ...]]]:
    """The shape's name, and what reads it."""
    if _has(row, "chosen") and _has(row, "rejected"):
        return "preference", _preference
    for name in ("messages", "conversation", "conversations"):
        if _has(row, name):
            return ("sharegpt" if name == "conversations" else "messages"), partial(_turns, name)
    for name, asked, answers, read in (
        ("alpaca", "instruction", ("output", "response"), _alpaca),
        ("prompt_completion", "prompt", ("completion", "response"), _prompt_completion),
        ("question_answer", "question", ("answer",), _question_answer),
    ):
        if _has(row, asked) and any(_has(row, answer) for answer in answers):
            return name, read
    for name in () if answered else ("instruction", "prompt", "question"):
        if _has(row, name):
            return "prompt", _instruction if name == "instruction" else partial(_prompt, name)
    return None, partial(_unrecognised, answered)


def _turns(name: str, row: Row) -> tuple[Message, ...]:
    return turns(row[name])


def _prompt(name: str, row: Row) -> tuple[Message, ...]:
    return (Message(USER, row[name]),) if isinstance(row[name], str) else turns(row[name])


def _has(row: Row, name: str) -> bool:
    return row.get(name) is not None


def _preference(row: Row) -> tuple[Message, ...]:
    raise Unfit(
        "preference",
        "chosen and rejected are two answers to compare, for preference methods such as DPO; expected one conversation to learn from",
    )


def _unrecognised(answered: bool, row: Row) -> tuple[Message, ...]:
    raise Unfit("unrecognised", f"the fields are {', '.join(map(str, row)) or 'none'}; expected {expected(answered)}")


def _instruction(row: Row) -> tuple[Message, ...]:
    history = row.get("history") or []
    if not isinstance(history, Sequence) or any(not isinstance(pair, Sequence) or len(pair) != 2 for pair in history):
        raise Unfit("unrecognised", "history is no list of pairs; expected what was asked and what was answered")
    before = [message for asked, answered in history for message in (Message(USER, text(asked)), _said(text(answered)))]
    asked, given = text(row["instruction"]), text(row.get("input") or "")
    return (*before, Message(USER, f"{asked}\n\n{given}" if given.strip() else asked))


def _alpaca(row: Row) -> tuple[Message, ...]:
    return (*_instruction(row), _said(text(row["output"] if _has(row, "output") else row["response"])))


def _prompt_completion(row: Row) -> tuple[Message, ...]:
    completion = row["completion"] if _has(row, "completion") else row["response"]
    return _prompt("prompt", row) + ((_said(completion),) if isinstance(completion, str) else turns(completion))


def _question_answer(row: Row) -> tuple[Message, ...]:
    return Message(USER, text(row["question"])), _said(_CALCULATED.sub("", text(row["answer"])))


def _said(content: str) -> Message:
    said, thought = parted(content)
    return Message(ASSISTANT, said, thought)


def _silent(message: Message) -> bool:
    return message == Message(ASSISTANT, message.content) and not message.content.strip()


def _with_system(row: Row, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Its own system message, or one from the fields beside; the tools listed at its end."""
    own = next((text(row[name]) for name in ("system", "system_prompt") if _has(row, name)), "")
    tools = listed(row["tools"]) if _has(row, "tools") else ""
    if messages and messages[0].role == SYSTEM:
        own, messages = messages[0].content, messages[1:]
    whole = "\n\n".join(part for part in (own, tools) if part.strip())
    return (Message(SYSTEM, whole), *messages) if whole else messages
