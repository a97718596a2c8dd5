"""Tools at work while a model generates: what to put in behind a call.

In: a conversation's tools, its tokenizer. Out: a function for the engine (`Request.answer`): given the tokens generated so far, the
tokens of the result where they have just ended a call, else none. What is put in carries no loss and is no choice of the model.

Every call gets a result, so that what was generated stays in the layout of chats: that of a tool which the conversation does not have,
and one call too many, are told so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from models.chat.conversation import Call
from models.chat.renderer import CALLS, control, result
from models.chat.tools.tool import ERROR, LONGEST_RESULT, Tool, call
from models.tokenizer.tokenizer import Tokenizer

MOST_CALLS = 4
"""In one turn."""


def answering(
    tools: Sequence[Tool],
    tokenizer: Tokenizer,
    most_calls: int = MOST_CALLS,
    longest: int = LONGEST_RESULT,
    told: Callable[[Call, str], None] = lambda made, result: None,
) -> Callable[[Sequence[int]], list[int]]:
    """`longest`: characters of a result. `told` hears of each call and its result, as it happens. It keeps nothing between calls, so that
    many requests may share it. Raises Unusable where the tokenizer has no tokens for calls."""
    named = {tool.name: tool for tool in tools}
    ends = {control(tokenizer, after): (control(tokenizer, before), name) for name, (before, after) in CALLS.items()}
    reserved = set(tokenizer.special.values())

    def answer(tokens: Sequence[int]) -> list[int]:
        if not tokens or tokens[-1] not in ends:
            return []
        begin, name = ends[tokens[-1]]
        opened = next((place for place in range(len(tokens) - 2, -1, -1) if tokens[place] in reserved), -1)
        if opened < 0 or tokens[opened] != begin:
            return []  # the end of a call that was never begun
        made = Call(name, tokenizer.decode(tokens[opened + 1 : -1]))
        if sum(token in ends for token in tokens) > most_calls:
            text = f"{ERROR}no more than {most_calls} calls are allowed"
        elif name not in named:
            text = f"{ERROR}there is no tool {name} in this conversation"
        else:
            text = call(named[name], made.text, longest)
        told(made, text)
        return result(text, tokenizer)

    return answer
