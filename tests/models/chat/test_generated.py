"""What a model generated, read back: the renderer's inverse where it keeps to the layout, and total where it does not."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.chat.conversation import Call, Message, fault
from models.chat.generated import Generated, generated
from models.chat.reader import Reader
from models.chat.renderer import prompt, render
from models.tokenizer.reserved import RESERVED
from models.tokenizer.tokenizer import Tokenizer

from .conftest import clean, conversations, hostile

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SHORT = {name.strip("<|>"): name for name in RESERVED}


def ids_of(text: str, tokenizer: Tokenizer) -> list[int]:
    """`text` with reserved names in {braces}."""
    ids: list[int] = []
    for place, part in enumerate(text.replace("}", "{").split("{")):
        ids += [tokenizer.special[SHORT[part]]] if place % 2 else tokenizer.encode(part)
    return ids


def read(text: str, tokenizer: Tokenizer) -> Generated:
    return generated(ids_of(text, tokenizer), tokenizer)


@FEW
@given(messages=conversations(clean | hostile))
def test_what_was_rendered_is_read_back(tokenizer: Tokenizer, messages: tuple[Message, ...]) -> None:
    last = max(index for index, message in enumerate(messages) if message.role == "user")
    behind = render(messages, tokenizer).tokens[len(prompt(messages[: last + 1], tokenizer)) :]
    assert generated(behind, tokenizer) == Generated(messages[last + 1 :], True, ())
    assert generated(behind, tokenizer).answer == messages[-1].content


SAID = Message("assistant", "Yes.")


@pytest.mark.parametrize(
    ("text", "messages", "finished", "faults"),
    [
        ("Yes.{im_end}", (SAID,), True, ()),
        ("Yes.{document_end}", (SAID,), True, ()),
        ("Yes.{im_end}No.{think}", (SAID,), True, ()),
        ("Yes.", (SAID,), False, ()),
        ("", (Message("assistant"),), False, ()),
        ("{im_end}", (Message("assistant"),), True, ()),
        ("{think}hm", (Message("assistant", "", "hm"),), False, ("<think> has no end",)),
        ("{think}hm{im_end}", (Message("assistant", "", "hm"),), True, ("<think> has no end",)),
        ("{think}a{/think}Yes.{think}b{/think}{im_end}", (Message("assistant", "Yes.", "a\nb"),), True, ("a thought behind content",)),
        ("{python_start}1+", (Message("assistant", "", None, Call("python", "1+")),), False, ("<|python_start|> has no end",)),
        (
            "{python_start}1+{/think}2{im_end}",
            (Message("assistant", "", None, Call("python", "1+2")),),
            True,
            ("</think> is out of its place", "<|python_start|> has no end"),
        ),
        ("{search_start}q{search_end}", (Message("assistant", "", None, Call("search", "q")),), False, ()),
        (
            "{python_start}1{python_end}{result_start}1",
            (Message("assistant", "", None, Call("python", "1")), Message("tool", "1")),
            False,
            ("<|result_start|> has no end",),
        ),
        (
            "{python_start}1{python_end}Yes.{im_end}",
            (Message("assistant", "", None, Call("python", "1")), Message("tool"), SAID),
            True,
            ("text behind a call that has no result",),
        ),
        ("{result_start}Yes.{result_end}{im_end}", (SAID,), True, ("a result without a call", "<|result_end|> is out of its place")),
        ("{im_start}Yes.{pad}{python_end}", (SAID,), False, ("<|im_start|>", "<|pad|>", "<|python_end|>")),
    ],
)  # fmt: skip
def test_whatever_a_model_writes_has_messages_and_its_faults_are_told(
    tokenizer: Tokenizer, text: str, messages: tuple[Message, ...], finished: bool, faults: tuple[str, ...]
) -> None:
    found = read(text, tokenizer)
    assert (found.messages, found.finished) == (messages, finished)
    assert len(found.faults) == len(faults)
    assert all(one.startswith(expected) for one, expected in zip(found.faults, faults, strict=True))


@FEW
@given(data=st.data())
def test_any_tokens_at_all_give_messages_that_can_be_rendered_again(tokenizer: Tokenizer, data: st.DataObject) -> None:
    letters = tokenizer.encode("a b")
    ids = data.draw(st.lists(st.sampled_from([*tokenizer.special.values(), *letters]), max_size=24))
    found = generated(ids, tokenizer)
    asked = [Message("user", "Hi")]
    wrong = fault([*asked, *found.messages])
    assert wrong is None or wrong.reason == "empty"
    again = render([*asked, *found.messages], tokenizer).tokens[len(prompt(asked, tokenizer)) :]
    assert generated(again, tokenizer).messages == found.messages
    assert generated(again, tokenizer).faults == ()
    kept = ids[: next((place for place, index in enumerate(ids) if index in tokenizer.stops), len(ids))]
    if not found.faults and kept == as_encoded(kept, tokenizer):
        assert again[: len(kept)] == kept


def as_encoded(ids: list[int], tokenizer: Tokenizer) -> list[int]:
    """What the text between reserved tokens encodes to: a model may spell it in other tokens."""
    reserved = set(tokenizer.special.values())
    runs = [list(run) for _, run in itertools.groupby(ids, reserved.__contains__)]
    return [one for run in runs for one in (run if run[0] in reserved else tokenizer.encode(tokenizer.decode(run)))]


@pytest.mark.parametrize(
    "text",
    [
        "{think}a{/think}Yes.{im_end}",
        "{python_start}1+{/think}2{im_end}",
        "{python_start}1{python_end}{result_start}1{python_end}2{result_end}Yes.{im_end}",
        "Yes.{/think}No.{search_end}{im_end}",
    ],
)
def test_what_is_told_while_it_is_written_is_what_is_read_in_the_end(tokenizer: Tokenizer, text: str) -> None:
    told: dict[str, str] = {}
    reader = Reader(tokenizer, lambda what, piece: told.update({what: told.get(what, "") + piece}))
    for token in ids_of(text, tokenizer):
        reader.read(token)
    reader.end()
    found = read(text, tokenizer).messages
    said = [one for one in found if one.role == "assistant"]
    assert told.get("content", "") == "".join(one.content for one in said)
    assert told.get("thinking") == next((one.thinking for one in said if one.thinking is not None), None)
    for tool in ("python", "search"):
        assert told.get(tool, "") == "".join(one.call.text for one in said if one.call and one.call.tool == tool)
    assert told.get("result", "") == "".join(one.content for one in found if one.role == "tool")
