import numpy as np
import pytest

from stages.extraction.text import render
from tests.stages.extraction.lexbor import scanned, texts

LONG = "word " * 80


def rendered(html: str, markdown: bool = True, without: str = "no") -> str:
    page = scanned(html)
    return render(page, np.array([text != without for text in texts(page)], np.bool_), markdown)


@pytest.mark.parametrize(
    ("html", "markdown", "plain"),
    [
        ("", "", ""),
        ("<p>no", "", ""),
        ("<p>a<p>b", "a\n\nb", "a\n\nb"),
        ("<p>a<p>no<p>b", "a\n\nb", "a\n\nb"),
        ("<p>a <b>b</b> <a href=x>c</a>", "a b c", "a b c"),
        ("<p>a<br>b<br><br>c", "a\nb\n\nc", "a\nb\n\nc"),
        ("<h1>a</h1>b<h6>c</h6>d", "# a\n\nb\n\n###### c\n\nd", "a\n\nb\n\nc\n\nd"),
        ("<h2>a<br>b</h2>c", "## a b\n\nc", "a\nb\n\nc"),
        ("<h2><span><b>a</b></span></h2>c", "## a\n\nc", "a\n\nc"),
        ("<p>a<h2>b</h2><h3>c</h3>", "a", "a"),
        ("<h2>b</h2><h3>c</h3>", "## b", "b"),
        ("<p>a<h2>b</h2><p>no", "a", "a"),
        ("a<ul><li>b<li>c</ul>d", "a\n\n- b\n- c\n\nd", "a\n\nb\nc\n\nd"),
        ("<ol><li>a<li>no<li>c</ol>", "1. a\n3. c", "a\nc"),
        ("<ol>" + "<li>x" * 11 + "</ol>", "\n".join(f"{n}. x" for n in range(1, 12)), "\n".join("x" * 11)),
        ("<ul><li>a<ul><li>b<ol><li>c</ol></ul><li>d</ul>", "- a\n  - b\n    1. c\n- d", "a\nb\nc\nd"),
        ("<ul><li>a<br>b<li>c</ul>", "- a\n  b\n- c", "a\nb\nc"),
        ("<ul><li><p>a<p>b<li>c</ul>", "- a\n  b\n- c", "a\nb\nc"),
        ("<ul><li>a</ul><ul><li>b</ul>", "- a\n\n- b", "a\n\nb"),
        ("<li>a<li>b", "a\n\nb", "a\n\nb"),
        ("<blockquote>a<p>b</blockquote>c", "> a\n\n> b\n\nc", "a\n\nb\n\nc"),
        ("<blockquote>a<br>b</blockquote>", "> a\n> b", "a\nb"),
        ("<blockquote>a<blockquote>b</blockquote></blockquote>", "> a\n\n> > b", "a\n\nb"),
        ("<blockquote><ul><li>a<li>b</ul></blockquote>", "> - a\n> - b", "a\nb"),
        ("a<pre>if b:\n    c()</pre>d", "a\n\n```\nif b:\n    c()\n```\n\nd", "a\n\nif b:\n    c()\n\nd"),
        ("<pre><code>a\n\n  b\n</code></pre>", "```\na\n\n  b\n```", "a\n\n  b"),
        ("<ul><li>a<pre>b\n  c</pre><li>d</ul>", "- a\n\n  ```\n  b\n    c\n  ```\n- d", "a\n\nb\n  c\nd"),
        ("<blockquote><pre>a\n b</pre></blockquote>", "> ```\n> a\n>  b\n> ```", "a\n b"),
        ("<table><tr><th>a<th>b<tr><td>c<td>d</table>e", "a | b\nc | d\n\ne", "a\tb\nc\td\n\ne"),
        ("<table><tr><td>a<br>b<td><p>c</table>", "a b | c", "a b\tc"),
        ("<table><tr><td>a<td>no<td>c</table>", "a | c", "a\tc"),
        ("<table><tr><td><p>a<p>b<td>c</table>", "a\n\nb\n\nc", "a\n\nb\n\nc"),
        (f"<table><tr><td>{LONG}<td>c</table>", f"{LONG.strip()}\n\nc", f"{LONG.strip()}\n\nc"),
        ("<table><tr><td>a</table><table><tr><td>b</table>", "a\n\nb", "a\n\nb"),
        ("<dl><dt>a<dd>b<dt>c<dd>d</dl>e", "a\nb\nc\nd\n\ne", "a\nb\nc\nd\n\ne"),
        ("<p>日本語<ul><li>ελληνικά 😀</ul>", "日本語\n\n- ελληνικά 😀", "日本語\n\nελληνικά 😀"),
    ],
)
def test_kept_blocks_become_paragraphs_headings_lists_code_and_rows(html: str, markdown: str, plain: str) -> None:
    assert rendered(html) == markdown
    assert rendered(html, markdown=False) == plain


def test_lists_and_quotations_deeper_than_eight_are_shown_as_eight_deep() -> None:
    assert rendered("<ul><li>" * 30 + "a") == " " * 14 + "- a"
    assert rendered("<blockquote>" * 30 + "a<br>b") == "> " * 8 + "a\n" + "> " * 8 + "b"
    deep = rendered("<blockquote>" * 30 + "<ol><li>" * 30 + "<pre>" + "a\n" * 1_000 + "b")
    assert deep.count("\n") == 1_002
    assert {line.startswith("> " * 8) for line in deep.splitlines()} == {True}


def test_the_number_of_an_item_has_as_many_digits_as_it_needs() -> None:
    lines = rendered("<ol>" + "<li>x" * 1_000 + "</ol>").split("\n")
    assert lines == [f"{number}. x" for number in range(1, 1_001)]
