"""Main text of the pages that the URL filter left.

In: rows of `records`; the bytes are read from the crawl, where each row says that its page lies. Out: the six columns that last, and

| column | type | |
|---|---|---|
| text | string | paragraphs parted by empty lines, lists and code kept; valid UTF-8 without NUL; null where there is none |
| html_bytes | i64 | bytes of the page, transfer and content encoding undone |
| tags | i64 | `<` in the page |
| text_chars | i64 | |
| encoding | string | Python codec that the page was decoded with |

| reason | |
|---|---|
| empty | nothing was left |
| extract_error:too_large, :too_many_tags, :too_deep, :too_many_attributes | counts over their bound, found before the parser runs |
| extract_error:too_long | characters of text over their bound |
| extract_error:cpu_limit | the backstop, see limits.py; in C code the worker dies instead |
| extract_error:undecodable | bytes that fit no encoding; only with the decoding of datatrove |
| extract_error:... | what the reader of the crawl said, or the name of the extractor's exception |

Source: resiliparse 2 (Bevendorff et al., ECIR 2018), settings chosen on 400 annotated pages: comments, alternative texts and
`<noscript>` cost precision there; bylines (post_meta) gain. trafilatura 1.11 (Barbaresi, ACL 2021) as datatrove 0.10.1 runs it,
but for its memory of what earlier pages said, which here ends with the page.
Ready text (WET, Parquet, JSONL) passes through. Left out: titles, links, markup; resiliparse also takes a `<ul>` less than three
elements below `<body>` for navigation.

Measured with resiliparse: time grows with tags * depth (10,000 open `<div>`: 1.7 s) and with the square of the attributes of one
element (30,000: 1.5 s; 100,000: 16 s); 600,000 tags take 200 MB, but 30 KB of unclosed `<font>` 750 MB. trafilatura takes 3 KB for each tag.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import polars as pl
from pydantic import Field
from resiliparse.extract.html2text import extract_plain_text

from stages.corpus.crawl import read_pages
from stages.corpus.encoding import decode, decode_as_datatrove
from stages.corpus.limits import CpuLimitExceeded, limited
from stages.stage import REASON, Config, Sides, Stage

KEEPS = ("id", "url", "date", "dump", "file_path", "source")
SIGNALS: dict[str, pl.DataType] = {
    "html_bytes": pl.Int64(),
    "tags": pl.Int64(),
    "text_chars": pl.Int64(),
    "encoding": pl.String(),
}

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]{0,30})(?:[^<>]*(/)>)?")
# Elements that hold nothing, or that the next of their kind closes: they nest only inside others.
_FLAT = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
    "p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "colgroup", "option", "optgroup", "rt", "rp",
})  # fmt: skip
# Texts become a column in batches: as Python strings, all of a shard could take four times its size at once.
BATCH_CHARS = 4 << 20
# Below this many tags no nesting costs more than two seconds, and the scan for depth is not worth its time.
_NESTS = 10_000
# A tag that is short cannot hold attributes enough to matter. Quoted values are no attributes: the path of a map has 100,000 spaces.
_LONG_TAG = re.compile(r"<[a-zA-Z][^<>]{20000,}")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_TABS = re.compile(r"(?<=\S)[ \t]*\t[ \t]*")
_GAPS = re.compile(r"\n{3,}")


class ExtractConfig(Config):
    """Settings of `extract`."""

    method: Literal["resiliparse", "trafilatura"] = "resiliparse"
    """Extractor: resiliparse is 15 to 20 times as fast, trafilatura more precise on articles."""
    decoding: Literal["whatwg", "datatrove-0.10"] = "whatwg"
    """Bytes to text as browsers do it, or as datatrove 0.10.1: UTF-8, else as detected, else the page is dropped."""
    max_html_bytes: int = Field(default=10_000_000, ge=1_000, le=100_000_000)
    """Largest page that is parsed."""
    max_text_chars: int = Field(default=2_000_000, ge=1_000, le=100_000_000)
    """Longest text; three times what Gopher's limit of 100,000 words lets through."""
    max_tags: int = Field(default=200_000, ge=1_000, le=2_000_000)
    """Most `<` in a page that is parsed."""
    max_depth: int = Field(default=1_000, ge=100, le=10_000)
    """Deepest nesting of open elements that is parsed; looked at in pages of more than 10,000 tags."""
    max_attributes: int = Field(default=20_000, ge=10_000, le=100_000)
    """Most attributes of one element in a page that is parsed; looked at in tags of more than 20,000 characters."""
    cpu_seconds: float = Field(default=10.0, ge=0.1, le=600.0)
    """CPU time for one page: a backstop."""
    memory_mb: int = Field(default=900, ge=100, le=16_000)
    """Memory for one page, in units of 2^20 bytes: a backstop."""


@dataclass(frozen=True, slots=True)
class Extracted:
    """One page's outcome; the names are those of the columns, REASON included."""

    text: str | None = None
    html_bytes: int | None = None
    tags: int | None = None
    text_chars: int | None = None
    encoding: str | None = None
    reason: str | None = None
    reason_value: float | None = None
    reason_threshold: float | None = None
    reason_detail: str | None = None


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


def _resiliparse(html: str) -> str:
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
def _trafilatura_modules() -> tuple[Any, Any]:
    import trafilatura
    from trafilatura import deduplication

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # it warns of every page that it finds empty
    return trafilatura, deduplication


def _trafilatura(html: str) -> str:
    trafilatura, deduplication = _trafilatura_modules()
    # A new memory for each page. Its own `clear` is no use: once full, it raises KeyError at the next entry.
    deduplication.LRU_TEST = deduplication.LRUCache(maxsize=deduplication.LRU_SIZE)
    return trafilatura.extract(html, favor_precision=True, include_comments=False, deduplicate=True) or ""


def _clean(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "ignore").decode("utf-8")


def extract_page(payload: bytes, charset: str | None, kind: str, config: ExtractConfig) -> Extracted:
    """The text of one page. `charset`: what the HTTP header says; `kind`: "html", or "text" for ready text. Never raises."""
    size = len(payload)
    if size > config.max_html_bytes:
        return Extracted(
            html_bytes=size, reason="extract_error:too_large", reason_value=size, reason_threshold=config.max_html_bytes
        )
    tags: int | None = None
    encoding: str | None = None

    def failed(reason: str, value: float | None = None, threshold: float | None = None, detail: str | None = None) -> Extracted:
        return Extracted(None, size, tags, None, encoding, f"extract_error:{reason}", value, threshold, detail)

    if config.method == "trafilatura":
        _trafilatura_modules()  # on nobody's time
    try:
        with limited(config.cpu_seconds, config.memory_mb):
            if kind == "text":
                text, encoding = _clean(payload.decode("utf-8", "replace")), "utf-8"
            else:
                decoded = decode(payload, charset) if config.decoding == "whatwg" else decode_as_datatrove(payload)
                if decoded is None:
                    return failed("undecodable")
                source, encoding = decoded
                tags = source.count("<")
                if tags > config.max_tags:
                    return failed("too_many_tags", tags, config.max_tags)
                if tags > _NESTS and (deepest := depth(source)) > config.max_depth:
                    return failed("too_deep", deepest, config.max_depth)
                if (most := attributes(source)) > config.max_attributes:
                    return failed("too_many_attributes", most, config.max_attributes)
                text = _clean(_resiliparse(source) if config.method == "resiliparse" else _trafilatura(source))
    except CpuLimitExceeded:
        return failed("cpu_limit", threshold=config.cpu_seconds)
    except Exception as error:
        return failed(type(error).__name__, detail=_clean(str(error))[:200])
    if not text.strip():
        return Extracted(None, size, tags, 0, encoding, "empty")
    if len(text) > config.max_text_chars:
        return failed("too_long", len(text), config.max_text_chars)
    return Extracted(text, size, tags, len(text), encoding)


def run(docs: pl.DataFrame, config: ExtractConfig, sides: Sides) -> pl.DataFrame:
    """`docs`, the lasting columns of it, with text, signals and reason; `sides["crawl"]` says where the crawl files lie."""
    schema = {"text": pl.String()} | SIGNALS | REASON
    frames: list[pl.DataFrame] = []
    batch: list[Extracted] = []
    size = 0

    def column_wise() -> None:
        frames.append(
            pl.DataFrame([pl.Series(name, [getattr(row, name) for row in batch], dtype) for name, dtype in schema.items()])
        )
        batch.clear()

    for charset, kind, page in zip(docs["charset"], docs["kind"], read_pages(docs, sides["crawl"]), strict=True):
        row = Extracted(reason=f"extract_error:{page.error}") if page.error else extract_page(page.payload, charset, kind, config)
        batch.append(row)
        size += row.text_chars or 0
        if size > BATCH_CHARS:
            column_wise()
            size = 0
    column_wise()
    return docs.select(KEEPS).hstack(pl.concat(frames))


EXTRACT = Stage(
    name="extract",
    version=1,
    run=run,
    config=ExtractConfig,
    needs=dict.fromkeys((*KEEPS, "kind", "charset", "field"), pl.String()) | {"offset": pl.Int64(), "skip": pl.Int64()},
    adds={"text": pl.String()},
    signals=SIGNALS,
    keeps=KEEPS,
    filters=True,
    sides={"crawl": "crawl"},
)
