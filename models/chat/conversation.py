"""What a conversation is: its turns as values, and what makes one unusable.

| role | says |
|---|---|
| system | who the assistant is and which tools it has; first or not at all |
| user | |
| assistant | perhaps thinks, then says something, then perhaps calls one tool |
| tool | what came back of the call right before it; the assistant's turn goes on behind it |

So an assistant that calls a tool speaks in several messages, with the results between them, and all of these are one turn: two messages
of the assistant with nothing between them are a fault, as in a conversation whose user's turn was lost. Two turns of the user may
follow each other, and the assistant may begin. A conversation may end anywhere: with a call, a result, a question.

| reason | fault |
|---|---|
| empty | no messages, or one that says, thinks and calls nothing; a result may be empty |
| unknown_role | |
| system_not_first | |
| two_assistant_turns | |
| result_without_call | |
| unfinished_turn | a call without a result, or a result behind which the assistant does not go on |
| unknown_tool | |
| not_assistant | thoughts or a call of another role |
"""

from collections.abc import Sequence
from dataclasses import dataclass

from models.unusable import Unusable

SYSTEM, USER, ASSISTANT, TOOL = ROLES = ("system", "user", "assistant", "tool")
PYTHON, SEARCH = TOOLS = ("python", "search")


@dataclass(frozen=True)
class Call:
    tool: str
    """python or search."""
    text: str
    """The expression to compute, or what to search for."""


@dataclass(frozen=True)
class Message:
    role: str
    content: str = ""
    thinking: str | None = None
    """What the assistant thought before `content`; an empty thought is a thought."""
    call: Call | None = None
    """The tool that the assistant calls after `content`."""


@dataclass(frozen=True)
class Fault:
    reason: str
    """See the table."""
    detail: str
    """For a person: what was found where, what was expected."""


@dataclass(frozen=True)
class Conversation:
    """Always a sound one: raises Unusable, naming the conversation, where its messages have a fault."""

    id: str
    messages: tuple[Message, ...]
    source: str = ""

    def __post_init__(self) -> None:
        if found := fault(self.messages):
            raise Unusable(f"conversation {self.id}: {found.detail}")


def fault(messages: Sequence[Message]) -> Fault | None:
    """The first thing that is wrong with a conversation."""
    if not messages:
        return Fault("empty", "there are no messages; expected one or more")
    for index, message in enumerate(messages):
        before = messages[index - 1] if index else None
        if found := _alone(message) or _order(message, before):
            return Fault(found.reason, f"message {index + 1} of {len(messages)}: {found.detail}")
    return None


def goes_on(messages: Sequence[Message]) -> bool:
    """Whether the assistant's turn is still open: it has called a tool, or a result has come."""
    return bool(messages) and (messages[-1].role == TOOL or messages[-1].call is not None)


def _alone(message: Message) -> Fault | None:
    if message.role not in ROLES:
        return Fault("unknown_role", f"the role is {message.role!r}; expected one of {', '.join(ROLES)}")
    if message.role != ASSISTANT and (message.thinking is not None or message.call is not None):
        return Fault("not_assistant", f"{message.role} thinks or calls a tool; expected that of the assistant alone")
    if message.call is not None and message.call.tool not in TOOLS:
        return Fault("unknown_tool", f"the tool {message.call.tool!r} is called; expected one of {', '.join(TOOLS)}")
    if message.call is not None and not message.call.text.strip():
        return Fault("empty", f"{message.call.tool} is called with nothing; expected an expression or a query")
    if message.role != TOOL and not message.content.strip() and message.thinking is None and message.call is None:
        return Fault("empty", f"{message.role} says nothing; expected a text")
    return None


def _order(message: Message, before: Message | None) -> Fault | None:
    if message.role == SYSTEM and before is not None:
        return Fault("system_not_first", f"system comes after {before.role}; expected it first, and once")
    if message.role == TOOL and (before is None or before.call is None):
        after = "at the beginning" if before is None else f"after {before.role}, which called no tool"
        return Fault("result_without_call", f"a tool's result comes {after}; expected a call right before it")
    if before is None or message.role == TOOL:
        return None
    if before.call is not None:
        return Fault("unfinished_turn", f"{message.role} comes after a call of {before.call.tool}; expected its result")
    if before.role == TOOL and message.role != ASSISTANT:
        return Fault("unfinished_turn", f"{message.role} comes after a tool's result; expected the assistant to go on")
    if before.role == message.role == ASSISTANT:
        return Fault("two_assistant_turns", "two turns of the assistant in a row; expected a user's between them")
    return None
