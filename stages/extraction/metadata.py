"""A page's title, author, date, site and language, as its own head states them: `<title>`, OpenGraph and other `<meta>`, JSON-LD.

OpenGraph's title before `<title>`, for it leaves out the site's name; JSON-LD where no `<meta>` says it. Dates become YYYY-MM-DD; what is no
date is none. Nothing is guessed from the text.
"""

import html
import re
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import orjson

from stages.extraction.arrays import AUTHOR, JSON_LD, JSON_LDS, LANGUAGE, OG_TITLE, PUBLISHED, SITE_NAME, TITLE

_LONGEST = 300
_JSON_BYTES = 200_000
_SPACE = re.compile(r"\s+")
_DATE = re.compile(r"((?:19|20)\d\d)[-/.]?(\d\d)[-/.]?(\d\d)")
_CONTROLS = re.compile(rb"[\x00-\x1f]|<!\[CDATA\[|\]\]>")  # what people leave in JSON, which allows it nowhere or only escaped
_NO_NAME = re.compile(r"https?://|[/@#]|\d+$")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")
_WORKS = frozenset({
    "article", "newsarticle", "blogposting", "techarticle", "report", "webpage", "product", "recipe", "discussionforumposting", "qapage",
    "question", "book", "review", "scholarlyarticle", "reportagenewsarticle", "analysisnewsarticle", "opinionnewsarticle", "liveblogposting",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Metadata:
    title: str | None = None
    author: str | None = None
    published: str | None = None
    """YYYY-MM-DD."""
    site_name: str | None = None
    page_language: str | None = None
    """As the page declares it, such as `en-US`: a hint, often wrong."""


def metadata(page: np.ndarray, marks: np.ndarray) -> Metadata:
    """`page`: uint8[n]; `marks`: int32[KINDS, 2] of the scanner."""

    def said(kind: int) -> str | None:
        start, end = marks[kind]
        return _clean(page[start : min(end, start + 4 * _LONGEST)].tobytes().decode("utf-8", "replace")) if end else None

    title, author, published, site = said(OG_TITLE) or said(TITLE), said(AUTHOR), _date(said(PUBLISHED)), said(SITE_NAME)
    if author and _NO_NAME.match(author):  # the address of a profile, or its number
        author = None
    language = said(LANGUAGE)
    if not (title and author and published and site):
        for work in _works(page, marks):
            title = title or _text(work.get("headline") or work.get("name"))
            author = author or _names(work.get("author"))
            published = published or _date(_text(work.get("datePublished")))
            site = site or _names(work.get("publisher"))
    if author == site:
        author = None
    if title and site:
        title = re.sub(rf"\s+[-–—|·:]\s+{re.escape(site)}$", "", title) or title
    return Metadata(title, author, published, site, language if language and _LANGUAGE.fullmatch(language) else None)


def _works(page: np.ndarray, marks: np.ndarray) -> list[dict[str, Any]]:
    """What JSON-LD says of articles and the like; broken JSON says nothing."""
    works: list[dict[str, Any]] = []
    for start, end in marks[JSON_LD : JSON_LD + JSON_LDS]:
        if end and end - start <= _JSON_BYTES:
            try:
                found = orjson.loads(_CONTROLS.sub(b" ", page[start:end].tobytes()))
            except orjson.JSONDecodeError:
                continue
            for thing in found if isinstance(found, list) else [found]:
                graph = thing.get("@graph") if isinstance(thing, dict) else None
                works += [
                    part for part in (graph if isinstance(graph, list) else [thing]) if isinstance(part, dict) and _is_work(part)
                ]
    return works


def _is_work(thing: dict[str, Any]) -> bool:
    kinds = thing.get("@type")
    return any(isinstance(kind, str) and kind.lower() in _WORKS for kind in (kinds if isinstance(kinds, list) else [kinds]))


def _names(value: Any) -> str | None:
    """A person's or organisation's name, or several joined by commas."""
    parts = value if isinstance(value, list) else [value]
    names = [_text(part.get("name") if isinstance(part, dict) else part) for part in parts[:10]]
    return ", ".join(dict.fromkeys(name for name in names if name and not _NO_NAME.match(name))) or None


def _text(value: Any) -> str | None:
    return _clean(value) if isinstance(value, str) else None


def _clean(text: str) -> str | None:
    return _SPACE.sub(" ", html.unescape(text[: 4 * _LONGEST]).replace("\0", "")).strip()[:_LONGEST].rstrip() or None


def _date(text: str | None) -> str | None:
    match = _DATE.match(text) if text else None
    if not match:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3])).isoformat()
    except ValueError:
        return None
