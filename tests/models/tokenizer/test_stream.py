import pytest

from models.tokenizer.stream import TextStream, ends_with
from tests.models.tokenizer.made import HOSTILE, gibberish, tokenizer


@pytest.mark.parametrize("kind", ["bytelevel", "sentencepiece"])
def test_the_parts_are_the_text_and_none_ends_in_half_a_character(kind: str) -> None:
    made = tokenizer(kind)
    for text in [*HOSTILE, *gibberish(200)]:
        stream = TextStream(made.pieces())
        parts = [stream.add(token) for token in made.encode(text)]
        assert "".join(parts) == made.decode(made.encode(text)) == text
        assert stream.end() == ""


@pytest.mark.parametrize("kind", ["bytelevel", "sentencepiece"])
def test_reserved_tokens_are_left_out_and_an_unfinished_character_is_marked(kind: str) -> None:
    made = tokenizer(kind)
    stream = TextStream(made.pieces())
    parts = [stream.add(token) for token in [*made.encode("so"), *made.special.values(), *made.encode("🚀")[:-1]]]
    assert "".join(parts) == "so"
    assert stream.end() == "�"
    assert stream.end() == ""


def test_a_token_behind_the_vocabulary_has_no_text() -> None:
    made = tokenizer("bytelevel")
    assert TextStream(made.pieces()).add(made.size + 7) == ""


@pytest.mark.parametrize("kind", ["bytelevel", "sentencepiece"])
@pytest.mark.parametrize(("text", "at"), [("one\n\ntwo", "one\n\n"), ("a漢字b", "a漢"), ("xx漢\n", "xx漢"), ("nothing", None)])
def test_a_stop_string_is_found_where_it_is_whole_however_it_is_split(kind: str, text: str, at: str | None) -> None:
    made = tokenizer(kind)
    asked = ends_with(made.pieces(), ["\n\n", "漢"])
    tokens = made.encode(text)
    found = next((n for n in range(1, len(tokens) + 1) if asked(tokens[:n])), None)
    if at is None:
        assert found is None
    else:
        assert found is not None
        shorter, whole = made.decode(tokens[: found - 1]), made.decode(tokens[:found])
        assert at in whole
        assert at not in shorter


def test_tokens_that_come_several_at_a_time_are_all_looked_at() -> None:
    made = tokenizer("bytelevel")
    tokens = made.encode("well, then stop here")
    asked = ends_with(made.pieces(), ["stop"])
    assert not asked(tokens[:2])
    assert asked(tokens)
