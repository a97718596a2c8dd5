"""A tool: a name, a line for the model that may call it, and a function from text to text. A tool that fails gives a readable result.

Who generates stops where a model ends a call, gives the call's text to `call` and puts what comes back into the context as text: it is
tokenized as a user's words are, so that no reserved token can come from a tool.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

LONGEST_ARGUMENT = 1_000
LONGEST_RESULT = 1_000
"""Characters."""

ERROR = "error: "
"""How the result of a call that failed begins."""


@dataclass(frozen=True)
class Tool:
    name: str
    argument: str
    """What it is given: one word, for the system message."""
    description: str
    """A few words, for the system message."""
    run: Callable[[str], str]


def listing(tools: Sequence[Tool]) -> str:
    """The lines of a system message by which a model knows its tools."""
    return "\n".join(f"{tool.name}({tool.argument}): {tool.description}" for tool in tools)


def call(tool: Tool, argument: str, longest: int = LONGEST_RESULT) -> str:
    """What the tool makes of `argument`, in at most `longest` characters; where it fails, "error: " and why."""
    if len(argument) > LONGEST_ARGUMENT:
        return f"{ERROR}the call has {len(argument):,} characters, at most {LONGEST_ARGUMENT:,} are allowed"[:longest]
    try:
        return shortened(tool.run(argument), longest)
    except Exception as error:  # whatever a tool raises, a conversation goes on, and the model and the person read what happened
        return shortened(f"{ERROR}{type(error).__name__}: {error}", longest)


def shortened(text: str, longest: int) -> str:
    """`text`, or its beginning and how long it was."""
    if len(text) <= longest:
        return text
    mark = f" ... ({len(text):,} characters)"
    return text[: max(longest - len(mark), 0)] + mark[:longest]
