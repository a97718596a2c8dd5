"""Messages of other formats as messages of Winnow.

In: a list of {role, content, ...} (OpenAI, Hugging Face) or {from, value} (ShareGPT). Out: messages, not yet checked.

| found | taken as |
|---|---|
| human, gpt, function_call, observation and others | the roles of `ROLES`; one that is not there stays as it is |
| content as a list of parts | their texts, joined; anything but text is refused |
| reasoning_content, thinking, reasoning; or `<think>...</think>` before the content | thinking |
| tool_calls, function_call | calls; several at once, each with its result, become one after the other |
| ShareGPT's function_call right behind gpt | the call of that message |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from models.chat.conversation import ASSISTANT, SYSTEM, TOOL, USER, Call, Message
from models.tokenizer.reserved import THINK, THINK_END
from stages.posttraining.functions import call
from stages.posttraining.unfit import Unfit

ROLES = {
    "system": SYSTEM, "developer": SYSTEM,
    "user": USER, "human": USER, "prompter": USER,
    "assistant": ASSISTANT, "gpt": ASSISTANT, "chatgpt": ASSISTANT, "model": ASSISTANT, "bot": ASSISTANT, "function_call": ASSISTANT,
    "tool": TOOL, "function": TOOL, "observation": TOOL, "function_response": TOOL, "ipython": TOOL,
}  # fmt: skip
CALLING = "function_call"
_THOUGHTS = ("reasoning_content", "thinking", "reasoning")

Row = Mapping[str, Any]


def turns(rows: Any) -> tuple[Message, ...]:
    """Raises Unfit where a row of the list cannot be a message."""
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise Unfit("unrecognised", f"the messages are {type(rows).__name__}; expected a list")
    for row in rows:
        if not isinstance(row, Mapping):
            raise Unfit("unrecognised", f"a message is {type(row).__name__}; expected an object")
    messages: list[Message] = []
    place = 0
    while place < len(rows):
        row = rows[place]
        calls = _calls(row)
        place += 1
        if len(calls) > 1:
            results = rows[place : place + len(calls)]
            messages += _one_by_one(row, calls, results)
            place += len(calls)
        elif _role(row) == CALLING and messages and messages[-1].role == ASSISTANT and messages[-1].call is None:
            messages[-1] = replace(messages[-1], call=calls[0][1])
        else:
            messages.append(_message(row, calls[0][1] if calls else None))
    return tuple(messages)


def _one_by_one(row: Row, calls: list[tuple[str | None, Call]], results: Sequence[Row]) -> Iterator[Message]:
    """Several calls at once as a call, its result, the next call, its result."""
    if len(results) < len(calls) or any(ROLES.get(_role(one)) != TOOL for one in results):
        raise Unfit("several_calls", f"{len(calls)} tools are called at once; expected as many results behind them")
    by_id = {one.get("tool_call_id"): one for one in results}
    for index, (identity, one) in enumerate(calls):
        yield _message(row if index == 0 else {"role": ASSISTANT}, one)
        yield _message(by_id.get(identity, results[index]) if identity is not None else results[index], None)


def _role(row: Row) -> str:
    return str(row.get("role") if row.get("role") is not None else row.get("from"))


def _message(row: Row, called: Call | None) -> Message:
    role = ROLES.get(_role(row).lower(), _role(row))
    if called is not None and _role(row) == CALLING:
        return Message(role, call=called)
    content = text(next((row[name] for name in ("content", "value", "text") if row.get(name) is not None), ""))
    if role != ASSISTANT:
        return Message(role, content, call=called)
    said, thought = parted(content)
    thinking = next((row[name] for name in _THOUGHTS if isinstance(row.get(name), str)), thought)
    return Message(role, said, thinking, called)


def text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        parts = [part.get("text") if isinstance(part, Mapping) else part for part in value]
        texts = [part for part in parts if isinstance(part, str)]
        if len(texts) == len(parts):
            return "".join(texts)
    raise Unfit("not_text", f"the content is {type(value).__name__} with something that is no text; expected text alone")


def parted(content: str) -> tuple[str, str | None]:
    """What was said, and what was thought before it."""
    rest = content.lstrip()
    if not rest.startswith(THINK) or THINK_END not in rest:
        return content, None
    thought, _, said = rest.removeprefix(THINK).partition(THINK_END)
    return said.lstrip("\n"), thought.strip("\n")


def _calls(row: Row) -> list[tuple[str | None, Call]]:
    """Each with its id, where it has one."""
    if _role(row) == CALLING:
        value = next((row[name] for name in ("value", "content") if row.get(name) is not None), None)
        return [(None, call(value))]
    found = row.get("tool_calls") or []
    if isinstance(found, Sequence) and not isinstance(found, str) and all(isinstance(one, Mapping) for one in found) and found:
        return [(one.get("id"), call(one.get("function") or one)) for one in found]
    if found:
        raise Unfit("unreadable_call", f"tool_calls is {type(found).__name__}; expected a list of objects")
    return [(None, call(row["function_call"]))] if row.get("function_call") else []
