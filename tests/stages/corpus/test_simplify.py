import time

import pytest
from datatrove.utils.text import simplify_text
from datatrove.utils.word_tokenizers import load_word_tokenizer

from stages.corpus import simplify as module
from stages.corpus.simplify import simplify

ODD = [
    "Don't! I cannot; they'd've... we'll go at 10am, 8 p.m. or 11:30.",
    "Σίσυφος ΣΊΣΥΦΟΣ İSTANBUL straße STRASSE ﬁne Ⅷ",
    "35°C, 70 °F, £5, €1.50, US$3, 50km 3m² 1,234.56 ١٢٣٫٤",
    "http://user@host.example:80/a/b?c=d#e me@example.org",
    "IS_ALPHA ಠ_ಠ ಠ︵ಠ ¯\\(ツ)/¯ :-) <3 ☃☃☃ 😀😀 ═════════ ••••• · · · ·····",
    "中文没有空格。日本語も、ない？ ไทยก็ไม่มี",
    "a\u0301 \u0301 b\u200bc\u00a0d\x1ce\x85f\u2028g\x00h",
    "v1.2.3-rc4 C++ e-mail O'Reilly rock'n'roll 3/4 ½ 1st 2nd",
]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ""),
        (" \n\t ", ""),
        ("...!?", ""),
        ("\u0301 \x00", ""),
        ("The  Cat's\n3,000 hats!", "the cat s 0 hats"),
        ("Crème BRÛLÉE", "creme brulee"),
        ("I cannot", "i can not"),
    ],
)
def test_a_text_becomes_its_simplified_words(text: str, words: str) -> None:
    assert simplify([text]) == [words]


@pytest.mark.parametrize("text", ODD)
def test_words_are_those_of_datatrove(text: str) -> None:
    assert simplify([text])[0].split() == load_word_tokenizer("en").word_tokenize(simplify_text(text))


def test_every_english_exception_is_cut_as_datatrove_cuts_it() -> None:
    tokenizer = load_word_tokenizer("en")
    text = " ".join(sorted(tokenizer.tokenizer.tokenizer.rules))
    assert simplify([text])[0].split() == tokenizer.word_tokenize(simplify_text(text))


def test_a_long_run_of_symbols_is_cut_in_linear_time() -> None:
    start = time.process_time()
    assert simplify(["£" * 50_000]) == [" ".join("£" * 50_000)]
    assert time.process_time() - start < 10  # spaCy alone: minutes


def test_what_was_seen_before_changes_nothing_and_stays_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = simplify(ODD)
    monkeypatch.setattr(module, "MOST_REMEMBERED", 5)
    module._remembered().clear()
    assert simplify(ODD) == fresh
    assert simplify(ODD[::-1]) == fresh[::-1]
    assert 0 < len(module._remembered()) <= 5
