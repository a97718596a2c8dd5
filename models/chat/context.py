"""Conversations longer than the model's context: the oldest exchanges are left out, or the whole conversation is.

An exchange is what the user says and everything up to the user's next turn; what comes before the first is one too. The system message
and the last exchange always stay: where these alone are too long, nothing can be done.
"""

from collections.abc import Sequence

from models.chat.conversation import SYSTEM, USER, Message
from models.chat.renderer import Rendered


def excess(messages: Sequence[Message], ends: Sequence[int], room: int) -> int | None:
    """How many messages behind the system message to leave out, so that at most `room` tokens are left; None if it cannot be.

    `ends`: of each message, how many tokens there are with it and all before it (`Rendered.ends`).
    """
    first = 1 if messages and messages[0].role == SYSTEM else 0
    # Of a system message the end; without one a conversation begins with one token.
    kept = ends[0] if first else 1
    begins = [
        first,
        *(index for index in range(first + 1, len(messages)) if messages[index].role == USER and _turns(messages, index)),
    ]
    for begin in begins:
        skipped = (ends[begin - 1] if begin else 1) - kept
        if not ends or ends[-1] - skipped <= room:
            return begin - first
    return None


def _turns(messages: Sequence[Message], index: int) -> bool:
    """Whether an exchange begins here: two turns of the user in a row belong together."""
    return messages[index - 1].role != USER


def without(messages: Sequence[Message], count: int) -> tuple[Message, ...]:
    """`messages` without `count` of them behind the system message."""
    first = 1 if messages and messages[0].role == SYSTEM else 0
    return (*messages[:first], *messages[first + count :])


def shortened(messages: Sequence[Message], rendered: Rendered, room: int) -> tuple[Rendered, int] | None:
    """At most `room` tokens, what they would be without the messages that were left out, and how many those are."""
    count = excess(messages, rendered.ends, room)
    if not count:
        return None if count is None else (rendered, 0)
    first = 1 if messages[0].role == SYSTEM else 0
    begin, end = rendered.ends[0] if first else 1, rendered.ends[first + count - 1]
    ends = [*rendered.ends[:first], *(one - (end - begin) for one in rendered.ends[first + count :])]
    tokens = rendered.tokens[:begin] + rendered.tokens[end:]
    return Rendered(tokens, rendered.mask[:begin] + rendered.mask[end:], ends), count
