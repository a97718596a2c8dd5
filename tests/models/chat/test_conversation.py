"""What a sound conversation is, and how an unsound one is named."""

import pytest
from hypothesis import given

from models.chat.conversation import Call, Conversation, Message, fault, goes_on
from models.chat.fields import fields, message
from models.unusable import Unusable

from .conftest import clean, conversations, hostile

ASKED, SAID = Message("user", "How much is 2 + 2?"), Message("assistant", "4")
CALLED, CAME = Message("assistant", "", None, Call("python", "2 + 2")), Message("tool", "4")


@pytest.mark.parametrize(
    "messages",
    [
        [ASKED],
        [ASKED, SAID],
        [Message("system", "Be brief."), ASKED, SAID, ASKED, SAID],
        [Message("system", "Be brief.")],
        [SAID, ASKED, SAID],
        [ASKED, ASKED, SAID],
        [ASKED, CALLED],
        [ASKED, CALLED, CAME],
        [ASKED, CALLED, Message("tool", ""), CALLED, CAME, SAID, ASKED, CALLED, CAME, SAID],
        [ASKED, Message("assistant", "", "Hm.")],
    ],
)
def test_these_are_conversations(messages: list[Message]) -> None:
    assert fault(messages) is None


@pytest.mark.parametrize(
    ("messages", "reason", "text"),
    [
        ([], "empty", "there are no messages"),
        ([ASKED, Message("assistant", " \n")], "empty", "message 2 of 2: assistant says nothing"),
        ([Message("user", "")], "empty", "message 1 of 1: user says nothing"),
        ([ASKED, Message("assistant", "", None, Call("search", " "))], "empty", "search is called with nothing"),
        ([Message("narrator", "Once.")], "unknown_role", "the role is 'narrator'; expected one of system, user, assistant, tool"),
        ([ASKED, Message("system", "Be brief."), SAID], "system_not_first", "message 2 of 3: system comes after user"),
        ([Message("system", "A"), Message("system", "B")], "system_not_first", "expected it first, and once"),
        ([ASKED, SAID, SAID], "two_assistant_turns", "message 3 of 3: two turns of the assistant in a row"),
        ([ASKED, CAME], "result_without_call", "message 2 of 2: a tool's result comes after user, which called no tool"),
        ([CAME], "result_without_call", "comes at the beginning"),
        ([ASKED, CALLED, CAME, CAME], "result_without_call", "after tool, which called no tool"),
        ([ASKED, CALLED, SAID], "unfinished_turn", "assistant comes after a call of python; expected its result"),
        ([ASKED, CALLED, ASKED], "unfinished_turn", "user comes after a call of python"),
        ([ASKED, CALLED, CAME, ASKED], "unfinished_turn", "user comes after a tool's result"),
        ([ASKED, Message("assistant", "", None, Call("shell", "ls"))], "unknown_tool", "'shell' is called; expected one of python, search"),
        ([Message("user", "Hm", "secretly")], "not_assistant", "user thinks or calls a tool"),
        ([Message("user", "Hm", None, Call("python", "1"))], "not_assistant", "user thinks or calls a tool"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found_and_named(messages: list[Message], reason: str, text: str) -> None:
    found = fault(messages)
    assert found is not None
    assert found.reason == reason
    assert text in found.detail
    with pytest.raises(Unusable, match=r"^conversation talk-7: ") as raised:
        Conversation("talk-7", tuple(messages))
    assert text in str(raised.value)


@pytest.mark.parametrize(
    ("messages", "opened"),
    [([], False), ([ASKED], False), ([CALLED], True), ([CALLED, CAME], True), ([CALLED, CAME, SAID], False)],
)
def test_a_turn_stays_open_until_the_assistant_calls_no_more(messages: list[Message], opened: bool) -> None:
    assert goes_on(messages) is opened


@given(conversations(clean | hostile))
def test_random_conversations_are_sound_and_come_back_from_their_fields(messages: tuple[Message, ...]) -> None:
    assert fault(messages) is None
    assert tuple(message(fields(one)) for one in messages) == messages


def test_fields_of_several_calls_at_once_are_refused() -> None:
    twice = fields(CALLED)
    twice["tool_calls"] = twice["tool_calls"] * 2
    with pytest.raises(Unusable, match="calls 2 tools at once"):
        message(twice)
