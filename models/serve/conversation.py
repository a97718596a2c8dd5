"""The API's messages and tools as a conversation of ours.

| the API's | ours |
|---|---|
| system, developer | the system message, behind it the list of tools that the model may call |
| an assistant's tool_calls, each with a tool's message behind it | a call and its result; one call at a time |
| arguments | the expression or the query: of an object the only value, else the text itself |
| reasoning_content | what was thought |
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from models.chat.context import excess, without
from models.chat.conversation import ASSISTANT, PYTHON, SEARCH, SYSTEM, Message, fault
from models.chat.fields import message as from_fields
from models.chat.renderer import prompt, render
from models.chat.tools.python import DESCRIPTION
from models.chat.tools.tool import Tool, listing
from models.serve.asked import AskedChat, AskedMessage, AskedTool
from models.serve.refused import Refused
from models.serve.served import Served
from models.tokenizer.tokenizer import Tokenizer
from models.unusable import Unusable

LEAST_ANSWER = 16
"""Tokens that must be left for an answer where a conversation is shortened."""
ARGUMENTS = {PYTHON: "expression", SEARCH: "query"}
_DESCRIPTIONS = {PYTHON: DESCRIPTION, SEARCH: "finds texts about it"}


def tools(served: Served, asked: AskedChat) -> tuple[list[Tool], dict[str, AskedTool]]:
    """Those that run here, and those that the client runs, by name. Raises Refused for one that the server has not."""
    if asked.tool_choice == "none":
        return [], {}
    here: list[Tool] = []
    client: dict[str, AskedTool] = {}
    for one in asked.tools or ():
        if one.name in client or any(tool.name == one.name for tool in here):
            raise Refused(f"the tool {one.name} is given twice; expected it once", "tools")
        if one.type == "function":
            client[one.name] = one
            continue
        tool = next((tool for tool in served.tools if tool.name == one.name), None)
        if tool is None:
            known = ", ".join(tool.name for tool in served.tools) or "no tools"
            raise Refused(
                f"this server runs {known}, not {one.name}; give it a function, or start the server with --tools", "tools"
            )
        here.append(tool)
    return here, client


def messages(asked: AskedChat, here: Sequence[Tool], client: Mapping[str, AskedTool]) -> tuple[Message, ...]:
    """Raises Refused where they are no conversation that the assistant can answer."""
    try:
        found = [_message(one, index) for index, one in enumerate(asked.messages)]
    except (Unusable, KeyError, TypeError, IndexError) as error:
        raise Refused(f"messages: {error}; expected tool_calls as the API gives them", "messages") from None
    listed = listing([*here, *(_described(name, one) for name, one in client.items())])
    system = found.pop(0).content.strip() if found[0].role == SYSTEM else ""
    told = "\n\n".join(part for part in (system, listed) if part)
    whole = (Message(SYSTEM, told), *found) if told else tuple(found)
    wrong = fault(whole)
    if wrong is not None:
        raise Refused(f"messages: {wrong.detail}", "messages")
    if whole[-1].role == ASSISTANT:
        raise Refused("messages: the last one is the assistant's; expected a user's, or a tool's result", "messages")
    return whole


def _message(one: AskedMessage, index: int) -> Message:
    role = SYSTEM if one.role == "developer" else one.role
    calls = None
    if one.tool_calls:
        calls = [
            {"function": {"name": call["function"]["name"], "arguments": argument(call["function"]["arguments"])}}
            for call in one.tool_calls
        ]
    content = one.content if one.content is None or isinstance(one.content, str) else _text(one.content, index)
    return from_fields({"role": role, "content": content, "reasoning_content": one.reasoning_content, "tool_calls": calls})


def _text(parts: list[dict[str, Any]], index: int) -> str:
    for part in parts:
        if part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise Refused(
                f"messages.{index}.content: a part of the type {part.get('type')!r} cannot be read; expected text alone",
                f"messages.{index}.content",
            )
    return "".join(part["text"] for part in parts)


def argument(arguments: str) -> str:
    """The expression or query in a call's arguments."""
    try:
        found = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    if isinstance(found, dict) and len(found) == 1 and isinstance(next(iter(found.values())), str):
        return str(next(iter(found.values())))
    return arguments


def arguments(name: str, text: str, one: AskedTool) -> str:
    """A call as the client's function wants it: an object of one text, whose name is that of the function's only property."""
    properties = ((one.function or {}).get("parameters") or {}).get("properties")
    named = next(iter(properties)) if isinstance(properties, dict) and len(properties) == 1 else ARGUMENTS[name]
    return json.dumps({named: text}, ensure_ascii=False)


def _described(name: str, one: AskedTool) -> Tool:
    """As the model is told of a tool that the client runs."""

    def never(text: str) -> str:
        raise AssertionError("a client's tool runs at the client")

    described = (one.function or {}).get("description")
    return Tool(name, ARGUMENTS[name], described if isinstance(described, str) and described else _DESCRIPTIONS[name], never)


def laid_out(served: Served, asked: AskedChat, whole: tuple[Message, ...]) -> list[int]:
    """The prompt; with truncation `auto` the oldest exchanges are left out where there is no room for them and an answer."""
    tokenizer = served.tokenizer
    tokens = prompt(whole, tokenizer)
    if asked.truncation == "auto" and len(tokens) > served.context - LEAST_ANSWER:
        count = _too_many(whole, tokenizer, len(tokens), served.context - LEAST_ANSWER)
        if count:
            tokens = prompt(without(whole, count), tokenizer)
    return tokens


def _too_many(whole: tuple[Message, ...], tokenizer: Tokenizer, tokens: int, room: int) -> int | None:
    rendered = render(whole, tokenizer)
    return excess(whole, rendered.ends, room - (tokens - len(rendered.tokens)))
