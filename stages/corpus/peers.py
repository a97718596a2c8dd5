"""The extractors of others, to compare with: resiliparse and trafilatura, and the bounds that keep hostile pages from them.

resiliparse 2 (Bevendorff et al., ECIR 2018), settings chosen on 400 annotated pages: comments, alternative texts and `<noscript>` cost
precision there; bylines (post_meta) gain. It takes a `<ul>` less than three elements below `<body>` for navigation. trafilatura 1.11
(Barbaresi, ACL 2021) as datatrove 0.10.1 runs it, but for its memory of what earlier pages said, which here ends with the page.

Measured with resiliparse: time grows with tags * depth (10,000 open `<div>`: 1.7 s) and with the square of the attributes of one
element (30,000: 1.5 s; 100,000: 16 s); 600,000 tags take 200 MB, but 30 KB of unclosed `<font>` 750 MB. trafilatura takes 3 KB for each tag.
"""

import logging
import re
from collections import Counter
from functools import lru_cache
from typing import Any

from resiliparse.extract.html2text import extract_plain_text

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]{0,30})(?:[^<>]*(/)>)?")
# Elements that hold nothing, or that the next of their kind closes: they nest only inside others.
_FLAT = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
    "p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "colgroup", "option", "optgroup", "rt", "rp",
})  # fmt: skip
# Below this many tags no nesting costs more than two seconds, and the scan for depth is not worth its time.
NESTS = 10_000
# A tag that is short cannot hold attributes enough to matter. Quoted values are no attributes: the path of a map has 100,000 spaces.
_LONG_TAG = re.compile(r"<[a-zA-Z][^<>]{20000,}")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_TABS = re.compile(r"(?<=\S)[ \t]*\t[ \t]*")
_GAPS = re.compile(r"\n{3,}")


def depth(html: str) -> int:
    """Most elements open at once, from the tags alone; an end tag closes one of its own name only, whatever lies between."""
    opened: Counter[str] = Counter()
    now = deepest = 0
    for match in _TAG.finditer(html):
        end, name, empty = match.groups()
        name = name.lower()
        if name in _FLAT or empty:
            continue
        if not end:
            opened[name] += 1
            now += 1
            deepest = max(deepest, now)
        elif opened[name]:
            opened[name] -= 1
            now -= 1
    return deepest


def attributes(html: str) -> int:
    """Most attributes of one element, in long tags; a tag ends at the next `<` or `>`, quoted or not."""
    tags = (_QUOTED.sub(" ", match[0]).replace("/", " ") for match in _LONG_TAG.finditer(html))
    return max((len(tag.split()) - 1 for tag in tags), default=0)


def resiliparse(html: str) -> str:
    text: str = extract_plain_text(
        html,
        preserve_formatting=True,
        main_content=True,
        list_bullets=True,
        alt_texts=False,
        links=False,
        form_fields=False,
        noscript=False,
        comments=False,
        post_meta=True,
    )
    # Cells of layout tables leave runs of tabs and lines of spaces. Line by line: on a run of spaces a regex is quadratic.
    text = "\n".join(line.rstrip() for line in _TABS.sub("\t", text).split("\n"))
    return _GAPS.sub("\n\n", text).strip("\n")


@lru_cache(maxsize=1)
def trafilatura_modules() -> tuple[Any, Any]:
    import trafilatura
    from trafilatura import deduplication

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # it warns of every page that it finds empty
    return trafilatura, deduplication


def trafilatura(html: str) -> str:
    library, deduplication = trafilatura_modules()
    # A new memory for each page. Its own `clear` is no use: once full, it raises KeyError at the next entry.
    deduplication.LRU_TEST = deduplication.LRUCache(maxsize=deduplication.LRU_SIZE)
    return library.extract(html, favor_precision=True, include_comments=False, deduplicate=True) or ""
