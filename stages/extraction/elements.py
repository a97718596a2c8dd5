"""HTML's own vocabulary as small tables: which elements there are, and how each behaves when it is parsed.

An element's number is its place in ELEMENTS, from 1; 0 stands for every unknown name, which behaves as a block (custom elements hold
blocks more often than words). FLAGS holds what the standard says of each, one bit a property, so that the scanner asks one array.
Source: https://html.spec.whatwg.org/ sections 13.1.2 (void, raw text), 13.1.2.4 (optional tags), 13.2.6 (tree construction), 3.2.5.2.5
(phrasing content).
"""

import numpy as np

_PHRASING = [
    "a",
    "abbr",
    "acronym",
    "b",
    "bdi",
    "bdo",
    "big",
    "br",
    "cite",
    "code",
    "data",
    "del",
    "dfn",
    "em",
    "font",
    "i",
    "img",
    "input",
    "ins",
    "kbd",
    "label",
    "mark",
    "math",
    "nobr",
    "picture",
    "q",
    "rp",
    "rt",
    "ruby",
    "s",
    "samp",
    "small",
    "source",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
    "time",
    "track",
    "tt",
    "u",
    "var",
    "wbr",
]
_VOID = ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"]
# Their content is no markup: up to the end tag of the same name, it is text (and mostly none that anybody reads).
_RAW = ["script", "style", "xmp", "iframe", "noembed", "noframes", "textarea", "title"]
# Their content is not shown as text of the page.
_UNSHOWN = ["svg", "math", "template", "select", "datalist", "object", "canvas", "audio", "video"]
# Tags that change nothing here: without them a page that omits them gives the same tree as one that does not.
_TRANSPARENT = ["html", "head", "body", "tbody", "thead", "tfoot", "colgroup"]
# A start tag of these ends an open <p>.
_CLOSES_P = [
    "address",
    "article",
    "aside",
    "blockquote",
    "center",
    "details",
    "dialog",
    "dir",
    "div",
    "dl",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hgroup",
    "hr",
    "li",
    "dd",
    "dt",
    "main",
    "menu",
    "nav",
    "ol",
    "p",
    "plaintext",
    "pre",
    "search",
    "section",
    "summary",
    "table",
    "ul",
    "xmp",
]
_OTHERS = ["button", "caption", "dd", "dt", "li", "legend", "noscript", "optgroup", "option", "td", "th", "tr"]

ELEMENTS: tuple[str, ...] = tuple(dict.fromkeys(_PHRASING + _VOID + _RAW + _UNSHOWN + _TRANSPARENT + _CLOSES_P + _OTHERS))
NUMBER: dict[str, int] = {name: number for number, name in enumerate(ELEMENTS, 1)}

# "Ordinary" elements of the standard that are no phrasing: their end tags reach through other ordinary elements only.
_ORDINARY = ["option", "optgroup", "legend", "svg", "datalist", "canvas", "audio", "video", "dialog"]

PHRASING, VOID, RAW, UNSHOWN, TRANSPARENT, CLOSES_P, HEADING, SCOPE, BREAKS_OUT, ORDINARY = (1 << bit for bit in range(10))
ENDED = 1 << 10  # in a page's elements alone: its end tag is read, but elements in it are still open


def _flags() -> np.ndarray:
    flags = np.zeros(len(ELEMENTS) + 1, np.uint16)
    headings = [f"h{level}" for level in range(1, 7)]
    # An end tag or an implied one never reaches through these to an element outside them.
    scope = ["table", "td", "th", "caption", "object", "template"]
    # A start tag of these inside <svg> or <math> means that its end tag was forgotten.
    breaks_out = [*_CLOSES_P, "b", "br", "code", "em", "i", "img", "span", "strong", "u", "table", "td", "tr"]
    for flag, names in (
        (PHRASING, _PHRASING), (VOID, _VOID), (RAW, _RAW), (UNSHOWN, _UNSHOWN), (TRANSPARENT, _TRANSPARENT), (CLOSES_P, _CLOSES_P),
        (HEADING, headings), (SCOPE, scope), (BREAKS_OUT, breaks_out), (ORDINARY, [*_PHRASING, *_ORDINARY]),
    ):  # fmt: skip
        for name in names:
            flags[NUMBER[name]] |= flag
    flags[0] = ORDINARY
    return flags


FLAGS = _flags()

HEADING_LEVEL = np.zeros(len(ELEMENTS) + 1, np.uint8)
for _level in range(1, 7):
    HEADING_LEVEL[NUMBER[f"h{_level}"]] = _level
