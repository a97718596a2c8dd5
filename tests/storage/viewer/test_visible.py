"""Whatever a crawl holds is shown, and nothing of it acts."""

import datetime

import pytest

from storage.viewer.visible import name_of, short, visible


def plain(html: str) -> str:
    return html.replace('<span class="hidden-character">', "").replace("</span>", "")


@pytest.mark.parametrize(
    ("value", "html"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("\" onload='x'", "&#34; onload=&#39;x&#39;"),
        ("a\u202eb", "a‹U+202E›b"),
        ("\x00\x1b\x7f\x9b", "‹U+0000›‹U+001B›‹U+007F›‹U+009B›"),
        ("a\u200b\ufeff\u2066\U000e0041", "a‹U+200B›‹U+FEFF›‹U+2066›‹U+E0041›"),
        ("\ud800", "‹U+D800›"),
        ("lines\n\tand tabs stay", "lines\n\tand tabs stay"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("é 漢字 👩\u200d🔬", "é 漢字 👩\u200d🔬"),
        (1234567, "1,234,567"),
        (0.123456789, "0.123457"),
        (True, "true"),
        (b"\xff\x00", "ff00 (2 bytes)"),
        (["<b>", None, 1], "[&#34;&lt;b&gt;&#34;, null, 1]"),
        ({"a": datetime.date(2026, 1, 2)}, "{&#34;a&#34;: &#34;2026-01-02&#34;}"),
    ],
)
def test_values_as_html(value: object, html: str) -> None:
    assert plain(str(visible(value))) == html


def test_a_null_is_told_from_a_text() -> None:
    assert "null" in visible(None)
    assert visible(None) != visible("null")


def test_matches_are_marked_and_still_escaped() -> None:
    assert visible("a <B>b<b> c", "<b>") == "a <mark>&lt;B&gt;</mark>b<mark>&lt;b&gt;</mark> c"
    assert visible("(x", "(") == "<mark>(</mark>x"


def test_long_values_are_cut_around_the_match() -> None:
    assert short("x" * 20, 10) == "x" * 10 + " …"
    cut = short("x" * 500 + "needle" + "y" * 500, 100, "NEEDLE")
    assert "<mark>needle</mark>" in cut
    assert cut.startswith("… x")
    assert cut.endswith("y …")
    assert short("short", 10, "absent") == "short"


def test_names_without_markup_show_hidden_characters_too() -> None:
    assert name_of("a\u202eb") == "a‹U+202E›b"
