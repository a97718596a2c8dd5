"""Valid UTF-8 is what Python decodes, no more and no less."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stages.extraction.utf8 import is_utf8

PARTS = [
    b"",
    b"a",
    b"a" * 7,
    b"a" * 8,
    b"a" * 40,
    "é".encode(),
    "汉".encode(),
    "🙂".encode(),
    b"\x80",
    b"\xc3",
    b"\xe6\xb1",
    b"\xf0\x9f\x99",
]


def decodes(page: bytes) -> bool:
    try:
        page.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


@settings(deadline=None)  # the first call compiles
@given(
    st.one_of(
        st.binary(max_size=40),
        st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.lists(st.sampled_from(PARTS), max_size=8).map(b"".join),
    )
)
@example(b"\xc0\xaf")
@example(b"\xed\xa0\x80")
@example(b"\xf4\x90\x80\x80")
@example(b"\xe0\x9f\xbf")
@example(b"12345678\xff")
def test_it_is_what_python_decodes(page: bytes) -> None:
    assert is_utf8(page) == decodes(page)


@pytest.mark.parametrize("lead", range(256))
def test_every_first_and_second_byte(lead: int) -> None:
    for second in range(256):
        for rest in (b"", b"\x80", b"\x80\x80", b"a"):
            page = b"12345" + bytes([lead, second]) + rest
            assert is_utf8(page) == decodes(page)
