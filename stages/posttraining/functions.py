"""Calls of functions as other formats have them: in Winnow's layout a call is an expression, or a query.

| found | call |
|---|---|
| python, its arguments a string or {"code": ...} | that text |
| search, its arguments a string or {"query": ...} | that text |
| any other function with arguments as JSON | python: `name(key=value, ...)` |
| functions listed as JSON schemas | lines of the system message: `name(key, ...): description` |
"""

from __future__ import annotations

import contextlib
import keyword
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from models.chat.conversation import PYTHON, TOOLS, Call
from stages.posttraining.unfit import Unfit

LISTED = "You can call these functions in Python:"


def call(value: Any) -> Call:
    """Of {"name": ..., "arguments": ...}, its arguments also as a JSON string; `value` may be a JSON string too."""
    if isinstance(value, str):
        value = _json(value)
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise Unfit("unreadable_call", f"a call is {_short(value)}; expected name and arguments")
    name, arguments = value["name"], value.get("arguments", {})
    if isinstance(arguments, str):
        with contextlib.suppress(orjson.JSONDecodeError):  # then it is the text itself
            arguments = orjson.loads(arguments)
        if name in TOOLS and not isinstance(arguments, Mapping):
            return Call(name, str(value["arguments"]))
    if not isinstance(arguments, Mapping):
        raise Unfit("unreadable_call", f"the arguments of {name} are {_short(arguments)}; expected an object")
    if name in TOOLS and len(arguments) == 1 and isinstance(only := next(iter(arguments.values())), str):
        return Call(name, only)
    return Call(PYTHON, _pythonic(name, arguments))


def _pythonic(name: str, arguments: Mapping[str, Any]) -> str:
    if not all(part.isidentifier() for part in name.split(".")):
        raise Unfit("unreadable_call", f"the function {name!r} has no name that Python can call")
    if all(key.isidentifier() and not keyword.iskeyword(key) for key in arguments):
        return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"
    return f"{name}(**{dict(arguments)!r})"


def listed(tools: Any) -> str:
    """A list of functions as JSON schemas (also of {"type": "function", "function": ...}, also as a JSON string), as lines; empty of none."""
    if isinstance(tools, str):
        tools = _json(tools) if tools.strip() else []
    if not isinstance(tools, Sequence):
        raise Unfit("unreadable_tools", f"tools is {_short(tools)}; expected a list of functions")
    lines = []
    for tool in tools:
        function = tool.get("function", tool) if isinstance(tool, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise Unfit("unreadable_tools", f"a tool is {_short(tool)}; expected a function with a name")
        known = function.get("parameters") or {}
        keys = (known.get("properties") or {}) if isinstance(known, Mapping) else {}
        lines.append(f"{function['name']}({', '.join(keys)}): {function.get('description') or 'no description'}")
    return "\n".join([LISTED, *lines]) if lines else ""


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Unfit("unreadable_call", f"{error}: {_short(text)}") from None


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:80]} ..."
