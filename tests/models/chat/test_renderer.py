"""The layout of chats: every token in its place, the loss where the assistant speaks, and nothing that somebody types a control token."""

import pytest
from hypothesis import HealthCheck, given, settings

from models.chat.conversation import Call, Message, goes_on
from models.chat.renderer import prompt, render, render_all, result
from models.tokenizer.reserved import RESERVED
from models.tokenizer.tokenizer import Tokenizer
from models.unusable import Unusable

from .conftest import clean, conversations, hostile

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def shown(ids: list[int], mask: list[bool], tokenizer: Tokenizer) -> str:
    """Reserved tokens by name, text as it is, what is learnt in [brackets]."""
    names = {index: name for name, index in tokenizer.special.items()}
    out, texts, learnt = "", [], False
    for index, learns in [*zip(ids, mask, strict=True), (None, False)]:
        if texts and (index is None or index in names or learns != learnt):
            out += tokenizer.decode(texts)
            texts = []
        if learns != learnt:
            out += "[" if learns else "]"
            learnt = learns
        if index is not None and index in names:
            out += names[index].removeprefix("<|").removesuffix("|>").join("{}")
        elif index is not None:
            texts.append(index)
    return out


def test_a_conversation_is_laid_out_and_its_loss_covers_what_the_assistant_says_and_its_stop(tokenizer: Tokenizer) -> None:
    made = render([Message("system", "Be brief."), Message("user", "Hi\n"), Message("assistant", "Hello")], tokenizer)
    assert shown(made.tokens, made.mask, tokenizer) == (
        "{document_start}{im_start}system{im_sep}Be brief.{im_end}{im_start}user{im_sep}Hi\n{im_end}{im_start}assistant{im_sep}[Hello{im_end}]"
    )


def test_calls_are_learnt_and_results_are_not_within_one_turn(tokenizer: Tokenizer) -> None:
    messages = [
        Message("user", "Q"),
        Message("assistant", "Let me see. ", "hm", Call("python", "6*7")),
        Message("tool", "42"),
        Message("assistant", "", None, Call("search", "answer")),
        Message("tool", ""),
        Message("assistant", "It is 42."),
        Message("user", "Thanks"),
        Message("assistant", ".", ""),
    ]
    made = render(messages, tokenizer)
    assert shown(made.tokens, made.mask, tokenizer) == (
        "{document_start}{im_start}user{im_sep}Q{im_end}{im_start}assistant{im_sep}"
        "[{<think>}hm{</think>}Let me see. {python_start}6*7{python_end}]{result_start}42{result_end}"
        "[{search_start}answer{search_end}]{result_start}{result_end}[It is 42.{im_end}]"
        "{im_start}user{im_sep}Thanks{im_end}{im_start}assistant{im_sep}[{<think>}{</think>}.{im_end}]"
    )
    assert made.tokens[made.ends[1] : made.ends[2]] == result("42", tokenizer)


@FEW
@given(messages=conversations(clean | hostile))
def test_the_first_messages_are_the_first_tokens_of_the_whole(tokenizer: Tokenizer, messages: tuple[Message, ...]) -> None:
    whole = render(messages, tokenizer)
    assert len(whole.tokens) == len(whole.mask) == whole.ends[-1]
    for count in range(len(messages)):
        part = render(messages[:count], tokenizer)
        assert part.tokens == whole.tokens[: len(part.tokens)]
        assert part.mask == whole.mask[: len(part.mask)]
        assert part.ends == whole.ends[:count]
        if messages[count].role == "assistant":
            asked = prompt(messages[:count], tokenizer)
            assert asked == whole.tokens[: len(asked)]
            assert not any(whole.mask[len(part.tokens) : len(asked)])
            assert whole.mask[len(asked)]
            assert (asked == part.tokens) is goes_on(messages[:count])


@FEW
@given(messages=conversations(hostile))
def test_reserved_names_that_somebody_types_are_text_and_come_back_as_such(
    tokenizer: Tokenizer, messages: tuple[Message, ...]
) -> None:
    reserved = set(tokenizer.special.values())
    harmless = [
        Message(one.role, one.content and "x", one.thinking and "x", one.call and Call(one.call.tool, "x")) for one in messages
    ]
    control = [token for token in render(messages, tokenizer).tokens if token in reserved]
    assert control == [token for token in render(harmless, tokenizer).tokens if token in reserved]
    for index, one in enumerate(messages):
        alone = [token for token in render([one], tokenizer).tokens if token not in reserved]
        spoken = "" if one.role == "tool" else one.role
        assert tokenizer.decode(alone) == spoken + (one.thinking or "") + one.content + (one.call.text if one.call else ""), index


def test_every_reserved_name_is_letters_when_a_user_types_it(tokenizer: Tokenizer) -> None:
    for name in RESERVED:
        made = render([Message("user", name)], tokenizer)
        assert made.tokens.count(tokenizer.special[name]) == render([Message("user", "x")], tokenizer).tokens.count(
            tokenizer.special[name]
        )


@FEW
@given(messages=conversations(clean))
def test_one_by_one_or_together_conversations_are_the_same_tokens(tokenizer: Tokenizer, messages: tuple[Message, ...]) -> None:
    other = (Message("user", "Hi"),)
    assert render_all([messages, other, messages], tokenizer) == [render(one, tokenizer) for one in (messages, other, messages)]


def test_a_tokenizer_without_the_reserved_tokens_is_refused(tokenizer: Tokenizer) -> None:
    class Foreign:
        special = {"<|endoftext|>": 0}
        encode_batch = staticmethod(tokenizer.encode_batch)

    with pytest.raises(Unusable, match=r"no reserved token <\|document_start\|>"):
        render([Message("user", "Hi")], Foreign())  # type: ignore[arg-type]
