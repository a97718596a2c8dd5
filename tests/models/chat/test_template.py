"""The chat template is the renderer: the same text, and through transformers the same tokens."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from models.chat.conversation import Call, Message, goes_on
from models.chat.fields import fields
from models.chat.renderer import header, message_segments, prompt, render
from models.chat.template import FILE, save_template, template
from models.tokenizer import load
from models.tokenizer.reserved import START

from .conftest import clean, conversations, files

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

messages_cut_anywhere = st.builds(
    lambda messages, count: messages[: 1 + count % len(messages)], conversations(clean), st.integers(0, 99)
)


def refuse(text: str) -> None:
    raise TemplateError(text)


# As transformers 5 compiles it: trim_blocks and lstrip_blocks, an immutable sandbox.
ENVIRONMENT = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
ENVIRONMENT.globals["raise_exception"] = refuse
COMPILED = ENVIRONMENT.from_string(template())


def rendered(messages: Sequence[Any], speak: bool = False, **more: Any) -> str:
    return COMPILED.render(messages=messages, bos_token=START, add_generation_prompt=speak, **more)


def text_of(messages: Sequence[Message], speak: bool = False) -> str:
    """What the renderer lays out, as text."""
    parts = [
        segment for index, message in enumerate(messages) for segment in message_segments(message, goes_on(messages[:index]))
    ]
    if speak and not goes_on(messages):
        parts += header("assistant")
    return START + "".join(segment.text for segment in parts)


@given(messages_cut_anywhere, st.booleans())
def test_the_template_gives_the_text_that_the_renderer_lays_out(messages: tuple[Message, ...], speak: bool) -> None:
    assert rendered([fields(message) for message in messages], speak) == text_of(messages, speak)


@given(conversations(clean))
def test_fields_that_are_null_may_be_missing(messages: tuple[Message, ...]) -> None:
    bare = [{name: value for name, value in fields(message).items() if value is not None} for message in messages]
    assert rendered(bare) == text_of(messages)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    transformers = pytest.importorskip("transformers")
    made: dict[str, Any] = {}

    def of(kind: str) -> Any:
        if kind not in made:
            folder: Path = tmp_path_factory.mktemp(kind)
            load.made(files(kind)).save(folder)
            save_template(folder)
            made[kind] = transformers.AutoTokenizer.from_pretrained(folder), load.load(folder)
        return made[kind]

    return of


@FEW
@given(messages=messages_cut_anywhere, speak=st.booleans())
@pytest.mark.parametrize("kind", ["bytelevel", "sentencepiece"])
def test_transformers_gives_the_renderers_tokens(
    saved: Callable[[str], Any], kind: str, messages: tuple[Message, ...], speak: bool
) -> None:
    theirs, ours = saved(kind)
    ids = theirs.apply_chat_template([fields(message) for message in messages], add_generation_prompt=speak, return_dict=False)
    assert ids == (prompt(messages, ours) if speak else render(messages, ours).tokens)
    assert json.loads(json.dumps(ids)).count(ours.start) == 1


def test_a_loaded_tokenizer_keeps_its_template(tmp_path: Path) -> None:
    load.made(files("bytelevel")).save(tmp_path / "one")
    save_template(tmp_path / "one")
    load.load(tmp_path / "one").save(tmp_path / "two")
    assert (tmp_path / "two" / FILE).read_text() == template()


def test_it_begins_with_the_token_that_begins_a_document() -> None:
    assert template().startswith("{{ bos_token }}")
    assert rendered([]) == START


@pytest.mark.parametrize(
    ("messages", "more", "text"),
    [
        ([{"role": "narrator", "content": "Once"}], {}, "unknown role narrator"),
        ([{"role": "tool", "content": "4"}], {}, "a result without a call"),
        ([fields(Message("assistant", "", None, Call("shell", "ls")))], {}, "unknown tool shell"),
        ([fields(Message("assistant", "", None, Call("python", "1"))) | {"tool_calls": [{}, {}]}], {}, "several calls at once"),
        ([fields(Message("user", "Hi"))], {"tools": [{"type": "function"}]}, "tools are listed in the system message"),
    ],
)
def test_what_the_layout_does_not_have_is_refused(messages: list[Any], more: dict[str, Any], text: str) -> None:
    with pytest.raises(TemplateError, match=text):
        rendered(messages, **more)
