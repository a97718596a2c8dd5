import pytest

from tests.stages.extraction.lexbor import scanned, texts


@pytest.mark.parametrize(
    ("html", "blocks"),
    [
        ("  a \t\r\n\f b  ", ["a b"]),
        ("a&nbsp;&nbsp;b\u00a0\u00a0", ["a b"]),
        ("<p> <b> </b> &nbsp; </p>", []),
        ("a <b> b</b>", ["a b"]),
        ("a<b> </b>b", ["a b"]),
        ("a<b>b</b>", ["ab"]),
        ("ex\u00adtra&shy;ction", ["extraction"]),
        ("zero\u200bwidth\ufeffmarks", ["zerowidthmarks"]),
        ("a\u200db \u2003 c", ["a\u200db \u2003 c"]),
        ("a\0\1\x7f\x1b\x85\x9fb", ["a b"]),
        ("a&#0;&#1;&#127;b", ["a\ufffdb"]),
        ("&lt;p&gt; &amp;amp;", ["<p> &amp;"]),
        ("<pre>\n a\r\n\tb\rc \n\n</pre>", [" a\n\tb\nc"]),
        ("<pre>a\u00a0&nbsp;b\fc</pre>", ["a  b c"]),
        ("<pre>a<b> b</b>\n\n c</pre>d  e", ["a b\n\n c", "d e"]),
        ("<pre> \n </pre>a", ["a"]),
        ("<pre>a<br><br>b</pre>", ["a\n\nb"]),
        ("a <br> b", ["a\nb"]),
        ("a<br>\n<br>b", ["a", "b"]),
        ("a<br>&nbsp;<br/>b", ["a", "b"]),
        ("a<br><!-- x --><b></b><br>b", ["a", "b"]),
        ("<br>a<br><p>b", ["a", "b"]),
        ("日本語 ελληνικά 😀&#128512;", ["日本語 ελληνικά 😀😀"]),
    ],
)
def test_white_space_collapses_and_what_nobody_sees_goes(html: str, blocks: list[str]) -> None:
    assert texts(scanned(html)) == blocks


@pytest.mark.parametrize(
    ("html", "characters", "breaks"),
    [("a b", 2, 0), ("a\u00a0é日😀&amp;", 5, 0), ("a<br>b<br><br>", 2, 2), ("<pre>a\n b</pre>", 2, 0)],
)
def test_characters_are_counted_without_white_space(html: str, characters: int, breaks: int) -> None:
    (block,) = scanned(html).blocks
    assert (block["characters"], block["breaks"]) == (characters, breaks)
