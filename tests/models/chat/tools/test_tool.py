import pytest

from models.chat.tools.tool import LONGEST_ARGUMENT, Tool, call, listing


def failing(argument: str) -> str:
    raise KeyError(argument)


def test_the_result_is_what_the_tool_gives() -> None:
    assert call(Tool("echo", "text", "", lambda text: text), "text") == "text"


def test_a_tool_that_raises_gives_an_error_that_can_be_read() -> None:
    assert call(Tool("failing", "text", "", failing), "x") == "error: KeyError: 'x'"


@pytest.mark.parametrize("longest", [0, 5, 30, 100])
def test_a_long_result_or_error_is_cut_to_the_length(longest: int) -> None:
    assert len(call(Tool("long", "text", "", lambda text: "a" * 1000), "x", longest)) == longest
    assert len(call(Tool("failing", "text", "", failing), "x" * 900, longest)) == longest


def test_a_cut_result_says_how_long_it_was() -> None:
    assert call(Tool("long", "text", "", lambda text: "a" * 1000), "x", 30) == "aaaaaaa ... (1,000 characters)"


def test_a_call_that_is_too_long_never_reaches_the_tool() -> None:
    assert call(Tool("failing", "text", "", failing), "x" * (LONGEST_ARGUMENT + 1)) == (
        "error: the call has 1,001 characters, at most 1,000 are allowed"
    )


def test_tools_are_listed_by_name_argument_and_what_they_do() -> None:
    tools = [Tool("echo", "text", "gives it back", str), Tool("search", "query", "finds texts about it", str)]
    assert listing(tools) == "echo(text): gives it back\nsearch(query): finds texts about it"
    assert listing([]) == ""
