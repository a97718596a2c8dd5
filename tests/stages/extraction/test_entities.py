import html
from html.entities import html5

import numpy as np
import pytest

from stages.extraction.entities import reference


def resolved(text: str) -> str:
    page = np.frombuffer(text.encode() + b" ", np.uint8)
    out = np.zeros(len(page) + 16, np.uint8)
    read, written = reference(page, 0, len(page) - 1, out, 0)
    return out[:written].tobytes().decode() + text.encode()[read:].decode()


def test_every_named_reference_is_what_the_standard_says() -> None:
    assert {name: resolved(f"&{name}") for name in html5} == html5


@pytest.mark.parametrize("number", [0, 1, 9, 13, 65, 127, *range(128, 160), 160, 0x7FF, 0x800, 0xD7FF, 0xFFFF, 0x10000, 0x10FFFF])
def test_every_number_is_its_character(number: int) -> None:
    # Python gives nothing for the numbers of control characters; a browser gives the character.
    expected = html.unescape(f"&#{number};") or chr(number)
    assert [resolved(f"&#{number};"), resolved(f"&#x{number:x};"), resolved(f"&#X{number:X}")] == [expected] * 3


@pytest.mark.parametrize("number", [0xD800, 0xDFFF, 0x110000, 10**30])
def test_what_is_no_character_is_the_replacement_character(number: int) -> None:
    assert resolved(f"&#{number};") == resolved(f"&#x{number:x};") == "\ufffd"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("&", "&"),
        ("&;", "&;"),
        ("&&amp;", "&&amp;"),
        ("& amp;", "& amp;"),
        ("&amp", "&"),
        ("&ampere", "&ere"),
        ("&amp;amp;", "&amp;"),
        ("&AMP;", "&"),
        ("&Auml;", "Ä"),
        ("&auml;", "ä"),
        ("&nonsense;", "&nonsense;"),
        ("&notin;", "∉"),
        ("&notit;", "¬it;"),
        ("&hellip", "&hellip"),
        ("&#", "&#"),
        ("&#;", "&#;"),
        ("&#x;", "&#x;"),
        ("&#xg", "&#xg"),
        ("&#65", "A"),
        ("&#65a", "Aa"),
        ("&#x41g", "Ag"),
        ("&#000000000065;", "A"),
        ("&nGt;", "≫⃒"),
        ("&amp=1", "&=1"),
        ("&ä", "&ä"),
    ],
)
def test_a_reference_is_read_as_far_as_it_goes(text: str, expected: str) -> None:
    assert resolved(text) == expected
