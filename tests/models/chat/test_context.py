"""Conversations that are too long: the oldest exchanges go, what is left is what it would be alone."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.chat.context import excess, shortened, without
from models.chat.conversation import Call, Message, fault
from models.chat.renderer import render
from models.tokenizer.tokenizer import Tokenizer

from .conftest import clean, conversations

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SYSTEM, USER, SAID = Message("system", "S"), Message("user", "U"), Message("assistant", "A")
CALLED, CAME = Message("assistant", "", None, Call("python", "1")), Message("tool", "1")


@pytest.mark.parametrize(
    ("messages", "ends", "room", "count"),
    [
        ([USER, SAID], [3, 6], 6, 0),
        ([USER, SAID], [3, 6], 5, None),
        ([USER, SAID, USER, SAID], [3, 6, 9, 12], 11, 2),
        ([USER, SAID, USER, SAID], [3, 6, 9, 12], 7, 2),
        ([USER, SAID, USER, SAID], [3, 6, 9, 12], 6, None),
        ([SYSTEM, USER, SAID, USER, SAID, USER], [5, 8, 11, 14, 17, 20], 14, 2),
        ([SYSTEM, USER, SAID, USER, SAID, USER], [5, 8, 11, 14, 17, 20], 13, 4),
        ([SYSTEM, USER, SAID, USER, SAID, USER], [5, 8, 11, 14, 17, 20], 7, None),
        ([USER, CALLED, CAME, SAID, USER, SAID], [3, 6, 9, 12, 15, 18], 17, 4),
        ([USER, SAID, USER, USER, SAID], [3, 6, 9, 12, 15], 14, 2),
        ([USER, SAID, USER, USER, SAID], [3, 6, 9, 12, 15], 9, None),
        ([SAID, USER, SAID], [3, 6, 9], 8, 1),
        ([SYSTEM], [5], 4, None),
        ([], [], 9, 0),
    ],
)
def test_the_oldest_exchanges_go_and_the_system_message_stays(
    messages: list[Message], ends: list[int], room: int, count: int | None
) -> None:
    assert excess(messages, ends, room) == count


@FEW
@given(messages=conversations(clean), share=st.floats(0.1, 1.1))
def test_what_is_left_is_what_it_would_be_alone(tokenizer: Tokenizer, messages: tuple[Message, ...], share: float) -> None:
    whole = render(messages, tokenizer)
    room = int(len(whole.tokens) * share)
    found = shortened(messages, whole, room)
    if found is None:
        last = max(index for index, message in enumerate(messages) if message.role == "user")
        first = messages[0].role == "system"
        shortest = (*messages[:first], *messages[last:])
        assert len(render(shortest, tokenizer).tokens) > room
        return
    made, count = found
    left = without(messages, count)
    assert made == render(left, tokenizer)
    assert len(made.tokens) <= room
    assert fault(left) is None
    assert left[-1] == messages[-1]
    assert (count == 0) is (len(whole.tokens) <= room)
