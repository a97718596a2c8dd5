import pytest

from stages.retrieval.terms import LONGEST, stem, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tara lives in HOLMFORD.", ["tara", "live", "in", "holmford"]),
        ("x_y-z 12.5 don't", ["x", "y", "z", "12", "5", "don", "t"]),
        ("Straße ＦＵＬＬ ﬁne", ["strasse", "full", "fine"]),
        ("हिन्दी é e\u0301", ["हिन्दी", "é", "é"]),
        ("东京都 abc日本", ["东京", "京都", "abc", "日本"]),
        ("人", ["人"]),
        ("?! …", []),
        ("", []),
        ("a" * 1000, ["a" * LONGEST]),
    ],
)
def test_a_text_becomes_terms(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("ponies", "pony"),
        ("lives", "live"),
        ("keeps", "keep"),
        ("glass", "glass"),
        ("bus", "bus"),
        ("gas", "gas"),
        ("trees", "tree"),
        ("goes", "goe"),
        ("zombies", "zomby"),
        ("calories", "calory"),
        ("owl", "owl"),
    ],
)
def test_the_ending_of_a_plural_goes(word: str, expected: str) -> None:
    assert stem(word) == expected
