"""What an answer comes to."""

import pytest

from stages.alignment.numbers import final_number, same_number


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("13", "13"),
        (" 13. ", "13"),
        ("-4", "-4"),
        ("$1,200", "1200"),
        ("-$5", "-5"),
        ("12.50", "12.50"),
        ("40%", "40"),
        ("−4", "-4"),
        ("9" * 300, "9" * 300),
        ("9" * 5000, None),
        ("0." + "1" * 5000, None),
        ("48+24 = 72.\n#### 72", "72"),
        ("#### 10\n#### 1,000", "1000"),
        ("It is 13", None),
        ("13 14", None),
        ("1,20", None),
        ("12+1", None),
        ("", None),
        ("I do not know.", None),
    ],
)
def test_an_answer_is_its_number_alone_or_what_stands_behind_the_mark(answer: str, number: str | None) -> None:
    assert final_number(answer) == number


def test_numbers_are_compared_as_numbers() -> None:
    assert same_number("12.50", "12.5")
    assert same_number("#### 007", "7")
    assert not same_number("1", "-1")
    assert not same_number("13 or 14", "13")
