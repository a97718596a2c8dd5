from itertools import chain

import pytest
from datatrove.utils.text import split_into_sentences, split_into_words
from hypothesis import given, settings
from hypothesis import strategies as st

import stages.corpus.words as module
from stages.corpus.words import LONGEST, count_sentences, words

# Affixes, special cases in parts, abbreviations, units, white space of every kind, and what has broken tokenizers before.
PIECES = [
    "(",
    ")",
    ":",
    ":-",
    "'",
    "'s",
    "s",
    "8",
    "D",
    "a",
    ".",
    "o",
    "O",
    "it",
    "'s",
    "Mr",
    "Mr.",
    "-",
    "/",
    "/h.",
    "....",
    "..",
    "and",
    "km",
    "#",
    "u.s",
    "x",
    "é",
    "(-",
    "<3",
    "ಠ_ಠ",
    "10",
    "a.m.",
    "can't",
    "http://",
    "www.",
    "@",
    "?",
    "!",
    "！",
    "。",
    "[",
    "]",
    "=",
    ";",
    ",",
    '"',
    "”",
    "’",
    "’s",
    "1.000",
    "$",
    "US$",
    "+5",
    "°C.",
    "中文",
    "e.g.",
    "i.e.",
    "vs.",
    "Ph.D.",
    "_",
    "*",
    "**",
    "--",
    "—",
    "…",
    "3km",
    "5.5%",
    "don't",
    "ain't",
    "gonna",
    "I'm",
    "C++",
    "a_b",
    "foo/bar",
]
HOSTILE = st.lists(
    st.sampled_from([*PIECES, " ", "\n", "  ", "\t", "\xa0", "\u2009", "\u200b", "\x00", "\x1c", "\x85"]), max_size=30
)

TEXTS = [
    "",
    " ",
    "Dr. Smith's cat (the 3km-runner) didn't cost $5.00!",
    "First sentence. Second one?  Third...\nand a line\twith tabs. ",
    "(local): as in 12km/h. and 'em--can't, loaded!''",
    "x( :)y and B ): too",
    "He said it 's (Mr. B.): fine",
    "A sentence. !? Another one.   ",
    "http://www.example.com/a-b_c?d=e.f, see example.org.",
    "+" * 80 + "=" * 300 + "." * 200 + "'" * 90,
    ("ab.c'" * LONGEST)[:LONGEST],
]


@pytest.mark.parametrize("text", TEXTS)
def test_words_and_sentences_are_those_of_the_library(text: str) -> None:
    assert words(text) == split_into_words(text)
    assert count_sentences(text) == len(split_into_sentences(text))


@settings(max_examples=600, deadline=None, derandomize=True)
@given(HOSTILE.map("".join))
def test_words_and_sentences_are_those_of_the_library_on_hostile_text(text: str) -> None:
    assert words(text) == split_into_words(text)
    assert count_sentences(text) == len(split_into_sentences(text))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(max_size=60))
def test_words_are_those_of_the_library_on_any_text(text: str) -> None:
    assert words(text) == split_into_words(text)
    assert count_sentences(text) == len(split_into_sentences(text))


def test_a_special_case_is_looked_for_across_chunks() -> None:
    apart = list(chain.from_iterable(words(chunk) for chunk in ["x(", ":)y"]))
    assert apart != words("x( :)y") == split_into_words("x( :)y")


def test_a_full_memo_starts_anew_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [words(text) for text in TEXTS]
    monkeypatch.setattr(module, "MEMO_CHARACTERS", 30)
    module._english.cache_clear()
    try:
        assert [words(text) for text in TEXTS * 2] == before * 2
        assert len(module._english().memo) < 30
    finally:
        module._english.cache_clear()


def test_a_chunk_that_is_too_long_is_cut() -> None:
    assert [len(word) for word in words("a" * (2 * LONGEST + 1) + " b")] == [LONGEST, LONGEST, 1, 1]
    assert len(words("(" * 1_000_000)) == 1_000_000


def test_a_name_that_breaks_spacy_is_a_word_each_time() -> None:
    for _ in range(3):
        assert words("see (IS_ALPHA). Or xIS_ALPHA") == ["see", "(", "IS_ALPHA", ")", ".", "Or", "xIS_ALPHA"]
