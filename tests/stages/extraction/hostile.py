"""What holds for every page, whatever bytes it has; and pages that try to break it.

`python -m tests.stages.extraction.hostile EXAMPLES` tries as many of each kind: the tests run it with numba's bounds checking on.
"""

import sys

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from stages.extraction.extractor import read
from stages.extraction.features import features
from stages.extraction.metadata import metadata
from stages.extraction.text import render

PAGES = [
    "<!doctype html><html lang=en><head><title>Ice &amp; snow</title><meta property=og:title content='Ice'><script type='application/ld+json'>"
    '{"@type": "Article", "headline": "Ice"}</script><style>p { color: red }</style></head><body class="home"><nav><ul><li><a href=/>Home'
    "</a><li><a href=/about>About</a></ul></nav><main><article><h1>Ice</h1><p>The harbour <b>freezes</b> late, and the ferries stop.<p>Second"
    "<br><br>third&nbsp;one.<pre>if ice:\n    walk()</pre><blockquote>Quoted</blockquote></article></main><footer>©</footer></body></html>",
    "<table width=100%><tr><td><form><input><select><option>a<option>b</select></form><font size=2>Eins<td>Zwei<br>Drei<p>Vier<table><tr><th>"
    "A<td>1<tr><th>B<td>2</table><ol><li>x<ul><li>y</ul><li>z</ol></table><dl><dt>a<dd>b</dl><svg><path d='M0'/><text>t</text></svg>end",
    "<div class='post hidden'><a href=x><div>日本語の記事、とても長い。</div></a><noscript><img src=x>Ελληνικά</noscript><math><mi>x</mi></math>"
    "<button>Buy<p>now</button><template><p>t</template><textarea>raw <p></textarea>&#x1F600;&notin;&#0;<!-- c --><!>😀\ufeff</div>",
]
TOKENS = [
    *"<>&/='\" \n\t\0é日😀;#-!?x", "<!--", "-->", "--!>", "<![CDATA[", "&#", "&#x", "&amp;", "&lt", "&nGt;", "\u00ad", "\u00a0", "\ufeff", "text, and the ", "</", "/>",
    " class=", " class='side bar'", " hidden", " style='display:none'", " content=x", " name=og:title", " type='application/ld+json'",
    *(f"<{slash}{name}{end}" for slash in ("", "/") for end in ("", ">") for name in (
        "p", "div", "a", "b", "span", "li", "ul", "ol", "table", "tr", "td", "caption", "h1", "h2", "pre", "br", "hr", "script", "style", "title",
        "textarea", "select", "option", "form", "button", "svg", "math", "foreignObject", "template", "noscript", "body", "tbody", "meta", "dd", "dt",
        "blockquote", "my-card", "object", "strong", "input",
    )),
]  # fmt: skip

TEXTS = st.one_of(st.binary(max_size=400).map(lambda raw: raw.decode("utf-8", "replace")), st.text(max_size=400))
MARKUP = st.lists(st.sampled_from(TOKENS), max_size=120).map("".join)


@st.composite
def broken(draw: st.DrawFn) -> str:
    """One of PAGES, cut, its tags shuffled or repeated, with NULs, or read in the wrong encoding."""
    page = draw(st.sampled_from(PAGES))
    tags = page.replace("<", "\0<").split("\0")
    for _ in range(draw(st.integers(1, 4))):
        match draw(st.sampled_from(["cut", "head", "shuffle", "repeat", "drop", "nul", "wrong"])):
            case "cut":
                tags = "".join(tags)[: draw(st.integers(0, 1_500))].replace("<", "\0<").split("\0")
            case "head":
                tags = tags[draw(st.integers(0, len(tags))) :]
            case "shuffle":
                tags = draw(st.permutations(tags))
            case "repeat":
                at = draw(st.integers(0, len(tags)))
                tags = tags[:at] + tags[at : at + 3] * draw(st.sampled_from([2, 40, 300])) + tags[at + 3 :]
            case "drop":
                tags = [tag for number, tag in enumerate(tags) if number % draw(st.integers(2, 7))]
            case "nul":
                tags = [tag.replace(draw(st.sampled_from("<>=pa ")), "\0x") for tag in tags]
            case "wrong":
                tags = [tag.encode("utf-16-le").decode("latin-1") if number % 2 else tag for number, tag in enumerate(tags)]
    return "".join(tags)


def outcome(page: bytes) -> tuple[bytes, ...]:
    """All that comes of a page, checked."""
    scanned, array = read(page)
    elements, blocks, text, marks, _ = scanned
    count = len(blocks)
    starts, ends = blocks["start"], blocks["end"]
    assert np.all((starts >= 0) & (starts < ends) & (ends <= len(text)))
    assert np.all(ends[:-1] <= starts[1:])
    for block in blocks:
        text[block["start"] : block["end"]].tobytes().decode("utf-8")
    assert np.all((blocks["element"] >= 0) & (blocks["element"] < len(elements)))
    assert np.all(
        (blocks["linked"] <= blocks["characters"]) & (blocks["bold"] <= blocks["characters"]) & (blocks["characters"] > 0)
    )
    parents, first, end = elements["parent"], elements["first"], elements["end"]
    assert parents[0] == -1
    assert np.all((parents[1:] >= 0) & (parents[1:] < np.arange(1, len(elements))))
    assert np.all((first >= 0) & (first <= end) & (end <= count))
    assert (first[0], end[0]) == (0, count)
    assert np.all((first[1:] >= first[parents[1:]]) & (end[1:] <= end[parents[1:]]))
    assert np.all(elements["depth"][1:] == elements["depth"][parents[1:]] + 1)
    holder = blocks["element"]
    assert np.all((first[holder] <= np.arange(count)) & (np.arange(count) < end[holder]))
    assert np.all((marks[:, 0] >= 0) & (marks[:, 0] <= marks[:, 1]) & (marks[:, 1] <= len(page)))
    x = features(scanned)
    assert np.isfinite(x).all()
    shown = [
        render(scanned, keep, markdown)
        for keep in (np.ones(count, bool), np.arange(count) % 2 == 0)
        for markdown in (True, False)
    ]
    assert "\ufffd" not in "".join(shown) or b"\xef\xbf\xbd" in text.tobytes()
    return (
        *(a.tobytes() for a in (starts, ends, first, end, marks, text, x)),
        *(s.encode() for s in shown),
        repr(metadata(array, marks)).encode(),
    )


_BEFORE: list[tuple[bytes, tuple[bytes, ...]]] = []


def check(page: str) -> None:
    """Also: the same again, and the same for the page before, whatever came since."""
    raw = page.encode("utf-8", "replace")
    found = outcome(raw)
    assert found == outcome(raw)
    for earlier, expected in _BEFORE:
        assert outcome(earlier) == expected
    _BEFORE[:] = [(raw, found)]


def fuzz(examples: int) -> None:
    for pages in (TEXTS, MARKUP, broken()):
        _BEFORE.clear()
        settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
        )(given(pages)(check))()


if __name__ == "__main__":
    fuzz(int(sys.argv[1]))
