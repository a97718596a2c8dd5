import numpy as np
import pytest

from stages.extraction.measure import measure
from tests.stages.extraction.lexbor import scanned


def measured(html: str, *fields: str) -> list[int]:
    page = scanned(html)
    measure(np.frombuffer(html.encode(), np.uint8), page)
    return [int(page.blocks[-1][field]) for field in fields]


@pytest.mark.parametrize(
    ("text", "words", "letters", "foreign", "capitals", "digits"),
    [
        ("One two, THREE.", 3, 11, 0, 6, 0),
        ("don't stop", 2, 8, 0, 0, 0),
        ("don’t", 1, 4, 0, 0, 0),
        ("dogs' tails", 2, 9, 0, 0, 0),
        ("state-of-the-art", 4, 13, 0, 0, 0),
        ("a1 22 3b", 3, 2, 0, 0, 4),
        ("Καλημέρα κόσμε", 2, 13, 13, 1, 0),
        ("Привет, МИР", 2, 9, 9, 4, 0),
        ("café", 1, 4, 1, 0, 0),
        ("cafe\u0301", 1, 5, 1, 0, 0),
        ("你好 world", 3, 5, 0, 0, 0),
        ("한글", 2, 0, 0, 0, 0),
        ("हिन्दी", 1, 6, 6, 0, 0),
        ("😀 !?", 0, 0, 0, 0, 0),
        ("٣٤", 1, 0, 0, 0, 2),
    ],
)
def test_words_and_letters_are_counted(text: str, words: int, letters: int, foreign: int, capitals: int, digits: int) -> None:
    expected = [words, letters, foreign, capitals, digits]
    assert measured(text, "words", "letters", "foreign", "capitals", "digits") == expected


@pytest.mark.parametrize(
    ("text", "punctuation", "commas", "ideographs", "last"),
    [
        ("One, two; three.", 3, 1, 0, "."),
        ("你好，世界。", 2, 1, 4, "。"),
        ("مرحبا، بالعالم", 1, 1, 0, "م"),
        ("(a) “b” — c", 5, 0, 0, "c"),
        ("かな", 0, 0, 2, "な"),
        ("a + b = c", 0, 0, 0, "c"),
    ],
)
def test_signs_are_counted(text: str, punctuation: int, commas: int, ideographs: int, last: str) -> None:
    assert measured(text, "punctuation", "commas", "ideographs", "last") == [punctuation, commas, ideographs, ord(last)]


@pytest.mark.parametrize(
    ("text", "stop_words"),
    [("The cat sat on THE mat and slept", 4), ("zebra quartz", 0), ("и не сад", 2), ("der Hund und die Katze", 3)],
)
def test_stop_words_are_known_in_several_languages(text: str, stop_words: int) -> None:
    assert measured(text, "stop_words") == [stop_words]


@pytest.mark.parametrize(
    ("head", "text", "in_title", "in_description"),
    [
        ("<title>Ice in the Harbour</title>", "ice and harbour and the rest", 2, 0),
        ("<meta property=og:title content='Ice'>", "ice ice snow", 2, 0),
        ("<meta name=description content='Much snow'>", "snow", 0, 1),
        ("<title>Snow</title><meta name=description content='Snow'>", "snow", 1, 1),
        ("<title>Tom's ice isn’t cold</title>", "Tom's isn’t Toms", 3, 0),
        ("<title>雪国</title>", "雪と国", 2, 0),
        ("<title>Ζεστό Νερό</title>", "ζεστό νερό", 2, 0),
        ("<title>" + "word " * 400 + "last</title>", "word last", 1, 0),
        ("<title>" + " ".join(f"w{n}" for n in range(400)) + "</title>", "w0 w399", 1, 0),
        ("", "ice", 0, 0),
    ],
)
def test_words_of_title_and_description_are_found_in_the_text(head: str, text: str, in_title: int, in_description: int) -> None:
    assert measured(f"{head}<p>{text}", "title_words", "description_words") == [in_title, in_description]
