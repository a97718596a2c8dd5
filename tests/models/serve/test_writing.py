"""Stop strings wherever the tokens split them, and which tokens belong to what is said."""

import pytest

from models.serve.vocabulary import Entry
from models.serve.writing import Part, Writing, stopper
from models.tokenizer.reserved import PYTHON, PYTHON_END, RESULT, RESULT_END, THINK, THINK_END, TURN_END
from models.tokenizer.tokenizer import Tokenizer


def ids(tokenizer: Tokenizer, *parts: str) -> list[int]:
    return [one for part in parts for one in ([tokenizer.special[part]] if part in tokenizer.special else tokenizer.encode(part))]


def written(writing: Writing, tokens: list[int]) -> list[Part]:
    return [*(writing.add(token, Entry(token, -1.0, ())) for token in tokens), writing.end()]


def text(parts: list[Part]) -> str:
    return "".join(part.content for part in parts)


@pytest.mark.parametrize(
    ("said", "stops", "expected"),
    [
        ("one two three", (), "one two three"),
        ("one two three", ("two",), "one "),
        ("one two three", ("zwei",), "one two three"),
        ("one two three", ("three!",), "one two three"),
        ("one two three", ("o thr", "one two "), ""),
        ("aaaaab", ("aab",), "aaa"),
        ("abcabd", ("abd",), "abc"),
        ("née €5", ("€",), "née "),
        ("STOP", ("STOP",), ""),
        ("x\n\ny", ("\n\n",), "x"),
    ],
)
def test_the_text_ends_before_the_first_stop_string(
    tokenizer: Tokenizer, said: str, stops: tuple[str, ...], expected: str
) -> None:
    tokens = ids(tokenizer, said)
    writing = Writing(tokenizer, tokenizer.pieces(), chat=False, stops=stops)
    parts = written(writing, tokens)
    assert text(parts) == expected
    assert writing.stopped == (expected != said)
    asked = stopper(Writing(tokenizer, tokenizer.pieces(), chat=False, stops=stops))
    first = next((size for size in range(1, len(tokens) + 1) if asked(tokens[:size])), None)
    assert (first is not None) == writing.stopped


def test_nothing_is_given_that_may_become_a_stop_string_and_nothing_else_is_held_back(tokenizer: Tokenizer) -> None:
    writing = Writing(tokenizer, tokenizer.pieces(), chat=False, stops=("xyz",))
    given = [writing.add(token).content for token in ids(tokenizer, "axbxyxyc")]
    assert given == ["a", "", "xb", "", "", "xy", "", "xyc"]


def test_the_tokens_given_are_those_of_the_text_that_is_given(tokenizer: Tokenizer) -> None:
    tokens = ids(tokenizer, "q€", "zSTOP")
    writing = Writing(tokenizer, tokenizer.pieces(), chat=False, stops=("STOP",))
    parts = written(writing, tokens)
    found = [(at, entry.token) for part in parts for at, entry in part.entries]
    assert found == [(0, tokens[0]), *((1, token) for token in ids(tokenizer, "€")), (2, ids(tokenizer, "z")[0])]
    whole = [
        entry.token for part in written(Writing(tokenizer, tokenizer.pieces(), chat=False), tokens) for _, entry in part.entries
    ]
    assert whole == tokens


def test_in_a_chat_only_what_is_said_is_searched_for_stop_strings(tokenizer: Tokenizer) -> None:
    tokens = ids(tokenizer, THINK, "owl", THINK_END, PYTHON, "owl", PYTHON_END, RESULT, "owl", RESULT_END, "the owl", TURN_END)
    writing = Writing(tokenizer, tokenizer.pieces(), chat=True, stops=("owl",))
    parts = written(writing, tokens)
    pieces = [piece for part in parts for piece in part.pieces]
    assert [what for what, said in pieces if not said] == ["thinking", "python", "result"]
    assert "".join(said for what, said in pieces if what != "content") == "owlowlowl"
    assert text(parts).strip() == "the"
    assert writing.stopped
