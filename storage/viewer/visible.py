"""Crawled values as safe HTML: everything escaped, characters that one cannot see or that turn the writing direction marked.

`\\u202e` becomes `‹U+202E›`. Marked: control characters (but not tab and newline), format characters such as bidirectional
overrides, zero-width spaces and tags, line and paragraph separators, lone surrogates, private use. Left alone, because honest text needs them:
the joiners U+200C and U+200D. A value is never a link: what a crawl calls a URL may be `javascript:`.
"""

import datetime
import json
import re
from typing import Any

from markupsafe import Markup, escape

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u06dd\u070f\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\ue000-\uf8ff\U000e0000-\U000e007f\U000f0000-\U0010ffff]"
)
BEFORE = 40  # characters shown before a match, where a long value is cut around it


def visible(value: Any, search: str = "") -> Markup:
    """`value` whole, as HTML; occurrences of `search` (whatever their case) in <mark>."""
    if value is None:
        return Markup('<span class="null">null</span>')
    text = plain(value)
    if not search:
        return _marked(text)
    parts: list[Markup] = []
    end = 0
    for match in re.finditer(re.escape(search), text, re.IGNORECASE):
        parts += [_marked(text[end : match.start()]), Markup("<mark>{}</mark>").format(_marked(match[0]))]
        end = match.end()
    return Markup("").join([*parts, _marked(text[end:])])


def short(value: Any, longest: int, search: str = "") -> Markup:
    """At most `longest` characters of `value`, around the first match of `search` unless that is near the beginning."""
    text = value if value is None else plain(value)
    if text is None or len(text) <= longest:
        return visible(text, search)
    found = re.search(re.escape(search), text, re.IGNORECASE) if search else None
    begin = max(0, found.start() - BEFORE) if found and found.end() > longest // 3 else 0
    before, after = ("… " if begin else "", " …" if begin + longest < len(text) else "")
    return Markup("{}{}{}").format(before, visible(text[begin : begin + longest], search), after)


def plain(value: Any) -> str:
    """One text for any value of a row."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.6g}"
    if isinstance(value, bytes):
        return f"{value.hex()} ({len(value):,} bytes)"
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=plain)


def name_of(text: str) -> str:
    """For titles and file names, where no markup is possible."""
    return _HIDDEN.sub(lambda match: f"‹U+{ord(match[0]):04X}›", text)


def _marked(text: str) -> Markup:
    parts: list[Markup] = []
    end = 0
    for match in _HIDDEN.finditer(text):
        parts += [
            escape(text[end : match.start()]),
            Markup('<span class="hidden-character">‹U+{}›</span>').format(f"{ord(match[0]):04X}"),
        ]
        end = match.end()
    return Markup("").join([*parts, escape(text[end:])])
