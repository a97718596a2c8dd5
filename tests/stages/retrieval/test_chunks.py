import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.retrieval.chunks import WORD, chunks, sentences


def texts(text: str, words: int, overlap: int) -> list[str]:
    return [text[start:end] for start, end in chunks(text, words, overlap)]


def test_a_short_text_is_one_chunk_with_what_is_between_its_sentences() -> None:
    text = "\n\nOne two. Three!\n\nFour five?  \n"
    assert texts(text, 10, 2) == ["One two. Three!\n\nFour five?"]


@pytest.mark.parametrize("text", ["", " \n\n\t"])
def test_a_text_without_words_has_no_chunk(text: str) -> None:
    assert chunks(text, 10, 2) == []


def test_sentences_stay_whole_and_the_last_ones_are_repeated_within_the_overlap() -> None:
    text = "One two three. Four five six. Seven eight. Nine ten."
    assert texts(text, 6, 0) == ["One two three. Four five six.", "Seven eight. Nine ten."]
    assert texts(text, 6, 3) == ["One two three. Four five six.", "Four five six. Seven eight.", "Seven eight. Nine ten."]


def test_a_chunk_ends_with_a_paragraph_where_one_ends_in_its_second_half() -> None:
    assert texts("One two three.\nFour. Five six. Seven eight nine.", 6, 0) == [
        "One two three.",
        "Four. Five six. Seven eight nine.",
    ]
    assert texts("One.\nTwo three. Four five six. Seven.", 6, 0) == ["One.\nTwo three. Four five six.", "Seven."]


def test_a_heading_stays_with_what_follows() -> None:
    assert texts("One two three four.\n## Five\nSix seven.", 6, 0) == ["One two three four.", "## Five\nSix seven."]


def test_only_a_sentence_that_is_too_long_is_cut() -> None:
    assert texts("One two three four five. Six.", 3, 0) == ["One two three", "four five. Six."]


def test_characters_count_where_there_are_no_spaces_and_so_do_long_words() -> None:
    assert texts("东京是日本的首都。大阪在西边。", 9, 0) == ["东京是日本的首都。", "大阪在西边。"]
    assert [len(text) for text in texts("x" * 1000, 10, 0)] == [500, 500]


def test_a_paragraph_that_ended_a_chunk_does_not_end_the_next_one() -> None:
    assert texts("three. one one one one\nthree. one", 5, 4) == [
        "three. one one one one",
        "one one one one\nthree.",
        "three. one",
    ]


@given(
    st.lists(st.sampled_from(["one", "two,", "three.", "four!", "\n", "\n\n", "# five", "东京。", " ", "x" * 120]), max_size=60),
    st.integers(1, 12),
    st.data(),
)
def test_chunks_cover_every_word_go_forward_and_are_not_too_long(parts: list[str], words: int, data: st.DataObject) -> None:
    text = " ".join(parts)
    spans = chunks(text, words, data.draw(st.integers(0, words - 1)))
    covered: set[int] = set()
    for start, end in spans:
        assert text[start:end].strip() == text[start:end]
        assert 1 <= len(WORD.findall(text[start:end])) <= words
        covered.update(range(start, end))
    assert all(set(range(*match.span())) <= covered for match in WORD.finditer(text))
    assert spans == sorted(set(spans))
    assert [end for _, end in spans] == sorted({end for _, end in spans})


def test_a_long_text_takes_linear_time() -> None:
    assert len(chunks("word " * 200_000, 100, 20)) == 2000
    assert len(sentences("." * 100_000)) == 1
    assert len(chunks("a." * 100_000, 100, 20)) == 40
