"""Hashed words are those of a plain Python that says the same thing slowly."""

import unicodedata

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.tokens.folded import BEHIND_HAN, PLANES, WITHOUT_SPACES, fold


def letter(character: str) -> str:
    plain = "".join(c for c in unicodedata.normalize("NFKD", character.casefold()) if unicodedata.category(c)[0] != "M")
    if len(plain) == 1:
        return plain
    return character.lower() if len(character.lower()) == 1 else character


def words(text: str) -> list[str]:
    found, word = [], ""
    for character in [*text, " "]:
        is_letter = unicodedata.category(character)[0] in "LN" if ord(character) < PLANES else ord(character) < BEHIND_HAN
        if not is_letter and not character.isspace():
            continue
        small = letter(character) if ord(character) < PLANES else character
        alone = is_letter and (ord(character) >= PLANES or any(low <= ord(small) <= high for low, high in WITHOUT_SPACES))
        if word and (alone or not is_letter):
            found.append(word)
            word = ""
        if alone:
            found.append(small)
        elif is_letter:
            word += small
    return found


def hashes(text: str) -> list[int]:
    return fold(pl.Series([text])).hashes.tolist()


@settings(deadline=None)  # the first call compiles
@given(
    st.lists(
        st.one_of(
            st.text(max_size=20),
            st.lists(
                st.sampled_from(["a", "É", " ", "\n", "漢", "ｶ", "-", "e\u0301", "𠀀", "🙂", "ไ", "Σς", "ß", "7"]), max_size=12
            ).map("".join),
        ),
        max_size=5,
    )
)
def test_words_are_cut_and_folded_as_described_whatever_stands_in_the_texts(texts: list[str]) -> None:
    found = fold(pl.Series(texts, dtype=pl.String))
    expected = [words(text) for text in texts]
    assert found.first.tolist() == [sum(map(len, expected[:n])) for n in range(len(texts) + 1)]
    spelled = dict(zip(found.hashes.tolist(), [word for text in expected for word in text], strict=True))
    assert len(spelled) == len(set(spelled.values())) == len({word for text in expected for word in text})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Don't stop!", "dont   stop"),
        ("Café", "cafe\u0301"),
        ("Ｆｕｌｌ width", "full\u3000width"),
        ("ΟΔΟΣ", "οδος"),
        ("漢字かな", "漢 字、か な。"),
        ("soft\u00adhyphen", "softhyphen"),
    ],
)
def test_spellings_of_the_same_words_have_the_same_hashes(one: str, other: str) -> None:
    assert hashes(one) == hashes(other) != []


def test_other_words_and_another_order_have_other_hashes() -> None:
    assert len({tuple(hashes(text)) for text in ("a b", "b a", "ab", "a b c", "a c")}) == 5


def test_each_word_knows_the_byte_at_which_it_begins() -> None:
    found = fold(pl.Series(["é, b", None, "  cd 漢字"]))
    assert found.begins.tolist() == [0, 4, 2, 5, 8]
    assert found.first.tolist() == [0, 2, 2, 5]


def test_a_text_hash_knows_letters_and_their_order_and_nothing_of_layout() -> None:
    same = fold(pl.Series(["Well-known: a\nfact.", "well known A Fact", "WELLKNOWNAFACT"])).texts
    assert len(set(same.tolist())) == 1
    assert len(set(fold(pl.Series(["abc", "acb", "ab", "abcd", ""])).texts.tolist())) == 5


def test_a_slice_of_a_column_is_read_from_where_it_begins() -> None:
    column = pl.Series(["first text", "second", "third one"])
    assert fold(column[1:]).hashes.tolist() == hashes("second third one")
