"""Main text of the pages that the URL filter left, and what the page says of itself.

In: rows of `records`; the bytes are read from the crawl, where each row says that its page lies. Out: the six columns that last, and

| column | type | |
|---|---|---|
| text | string | main text, valid UTF-8 without NUL; null where there is none |
| title, author, site_name | string | as the page's head states them; null where it does not, or with another method than `winnow` |
| published | string | the same: YYYY-MM-DD |
| page_language | string | the same: what `<html lang>` claims, often wrong |
| extract_confidence | f64 | the F1 that the model expects of this text, 0 to 1; null with another method |
| html_bytes | i64 | bytes of the page, transfer and content encoding undone |
| tags | i64 | `<` in the page |
| text_chars | i64 | |
| encoding | string | Python codec that the page was decoded with |

| reason | |
|---|---|
| empty | nothing was left |
| low_confidence | extract_confidence below `min_confidence` |
| extract_error:too_large | bytes over their bound |
| extract_error:too_many_tags, :too_deep, :too_many_attributes | counts over their bound, found before another method's parser runs |
| extract_error:too_long | characters of text over their bound |
| extract_error:cpu_limit | the backstop, see limits.py; in C code the worker dies instead |
| extract_error:undecodable | bytes that fit no encoding; only with the decoding of datatrove |
| extract_error:... | what the reader of the crawl said, or the name of the extractor's exception |

`winnow` is stages/extraction, which is linear in the page and has bounds of its own; the other methods are in peers.py. Ready text (WET, Parquet,
JSONL) passes through. Left out: links, images.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import Field

from stages.corpus import peers
from stages.corpus.crawl import read_pages
from stages.corpus.encoding import decode, decode_as_datatrove, to_utf8
from stages.corpus.limits import CpuLimitExceeded, limited
from stages.extraction.extractor import compile_all, extract
from stages.extraction.model import SHIPPED, Model, load
from stages.extraction.utf8 import is_utf8
from stages.stage import REASON, Config, Sides, Stage

KEEPS = ("id", "url", "date", "dump", "file_path", "source")
ADDS: dict[str, pl.DataType] = {
    "text": pl.String(),
    "title": pl.String(),
    "author": pl.String(),
    "published": pl.String(),
    "site_name": pl.String(),
    "page_language": pl.String(),
    "extract_confidence": pl.Float64(),
}
SIGNALS: dict[str, pl.DataType] = {
    "html_bytes": pl.Int64(),
    "tags": pl.Int64(),
    "text_chars": pl.Int64(),
    "encoding": pl.String(),
}

# Texts become a column in batches: as Python strings, all of a shard could take four times its size at once.
BATCH_CHARS = 4 << 20


class ExtractConfig(Config):
    """Settings of `extract`."""

    method: Literal["winnow", "trafilatura", "resiliparse"] = "winnow"
    """Extractor; the other two are there to compare with."""
    text_format: Literal["markdown", "plain"] = "markdown"
    """Of `winnow`: headings, lists, quotations, code and tables as light Markdown, or their text alone."""
    min_confidence: float = Field(default=0.0, ge=0.0, le=1.0)
    """Lowest expected F1 of `winnow` that is kept; 0 keeps every text."""
    decoding: Literal["whatwg", "datatrove-0.10"] = "whatwg"
    """Bytes to text as browsers do it, or as datatrove 0.10.1: UTF-8, else as detected, else the page is dropped."""
    max_html_bytes: int = Field(default=10_000_000, ge=1_000, le=100_000_000)
    """Largest page that is parsed."""
    max_text_chars: int = Field(default=2_000_000, ge=1_000, le=100_000_000)
    """Longest text; three times what Gopher's limit of 100,000 words lets through."""
    max_tags: int = Field(default=200_000, ge=1_000, le=2_000_000)
    """Most `<` in a page that another method parses."""
    max_depth: int = Field(default=1_000, ge=100, le=10_000)
    """Deepest nesting of open elements that another method parses; looked at in pages of more than 10,000 tags."""
    max_attributes: int = Field(default=20_000, ge=10_000, le=100_000)
    """Most attributes of one element that another method parses; looked at in tags of more than 20,000 characters."""
    cpu_seconds: float = Field(default=10.0, ge=0.1, le=600.0)
    """CPU time for one page: a backstop."""
    memory_mb: int = Field(default=900, ge=100, le=16_000)
    """Memory for one page, in units of 2^20 bytes: a backstop."""


@dataclass(frozen=True, slots=True)
class Extracted:
    """One page's outcome; the names are those of the columns, REASON included."""

    text: str | None = None
    title: str | None = None
    author: str | None = None
    published: str | None = None
    site_name: str | None = None
    page_language: str | None = None
    extract_confidence: float | None = None
    html_bytes: int | None = None
    tags: int | None = None
    text_chars: int | None = None
    encoding: str | None = None
    reason: str | None = None
    reason_value: float | None = None
    reason_threshold: float | None = None
    reason_detail: str | None = None


def _clean(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "ignore").decode("utf-8")


def extract_page(payload: bytes, charset: str | None, kind: str, config: ExtractConfig, model: Model | None = None) -> Extracted:
    """The text of one page. `charset`: what the HTTP header says; `kind`: "html", or "text" for ready text; `model`: None is the one
    that is shipped. Never raises."""
    known: dict[str, Any] = {"html_bytes": len(payload)}

    def failed(reason: str, value: float | None = None, threshold: float | None = None, detail: str | None = None) -> Extracted:
        return Extracted(**known, reason=reason, reason_value=value, reason_threshold=threshold, reason_detail=detail)

    if len(payload) > config.max_html_bytes:
        return failed("extract_error:too_large", len(payload), config.max_html_bytes)
    # What is loaded or compiled for the first time is on no page's bill.
    is_utf8(b"")
    if config.method == "trafilatura":
        peers.trafilatura_modules()
    elif config.method == "winnow":
        compile_all()
        model = model or load(SHIPPED)
    try:
        with limited(config.cpu_seconds, config.memory_mb):
            if kind == "text":
                text, known["encoding"] = _clean(payload.decode("utf-8", "replace")), "utf-8"
            elif config.method == "winnow" and model is not None:
                page, known["encoding"] = _utf8(payload, charset, config)
                found = extract(page, model, config.text_format == "markdown")
                text = found.text
                known |= asdict(found.metadata) | {"tags": found.tags, "extract_confidence": found.confidence}
            else:
                source, known["encoding"] = _decoded(payload, charset, config)
                known["tags"] = source.count("<")
                over = _over(source, known["tags"], config)
                if over:
                    return failed(*over)
                text = _clean(peers.resiliparse(source) if config.method == "resiliparse" else peers.trafilatura(source))
    except CpuLimitExceeded:
        return failed("extract_error:cpu_limit", threshold=config.cpu_seconds)
    except _Undecodable:
        return failed("extract_error:undecodable")
    except Exception as error:
        return failed(f"extract_error:{type(error).__name__}", detail=_clean(str(error))[:200])
    if not text.strip():
        known["text_chars"] = 0
        return failed("empty")
    if len(text) > config.max_text_chars:
        return failed("extract_error:too_long", len(text), config.max_text_chars)
    known |= {"text": text, "text_chars": len(text)}
    confidence = known.get("extract_confidence")
    if confidence is not None and confidence < config.min_confidence:
        return failed("low_confidence", confidence, config.min_confidence)
    return Extracted(**known)


class _Undecodable(Exception):
    pass


def _utf8(payload: bytes, charset: str | None, config: ExtractConfig) -> tuple[bytes, str]:
    if config.decoding == "whatwg":
        return to_utf8(payload, charset)
    text, name = _decoded(payload, charset, config)
    return text.encode("utf-8", "ignore"), name


def _decoded(payload: bytes, charset: str | None, config: ExtractConfig) -> tuple[str, str]:
    decoded = decode(payload, charset) if config.decoding == "whatwg" else decode_as_datatrove(payload)
    if decoded is None:
        raise _Undecodable
    return decoded


def _over(source: str, tags: int, config: ExtractConfig) -> tuple[str, float, float] | None:
    """(reason, count, bound) where another method's parser would take too long."""
    if tags > config.max_tags:
        return "extract_error:too_many_tags", tags, config.max_tags
    if tags > peers.NESTS and (deepest := peers.depth(source)) > config.max_depth:
        return "extract_error:too_deep", deepest, config.max_depth
    if (most := peers.attributes(source)) > config.max_attributes:
        return "extract_error:too_many_attributes", most, config.max_attributes
    return None


def run(docs: pl.DataFrame, config: ExtractConfig, sides: Sides) -> pl.DataFrame:
    """`docs`, the lasting columns of it, with text, signals and reason; `sides["crawl"]` says where the crawl files lie, `sides["model"]`
    is the model file of `winnow`."""
    schema = ADDS | SIGNALS | REASON
    frames: list[pl.DataFrame] = []
    batch: list[Extracted] = []
    size = 0
    path: Path = sides["model"]
    model = load(path) if config.method == "winnow" else None

    def column_wise() -> None:
        frames.append(
            pl.DataFrame([pl.Series(name, [getattr(row, name) for row in batch], dtype) for name, dtype in schema.items()])
        )
        batch.clear()

    for charset, kind, page in zip(docs["charset"], docs["kind"], read_pages(docs, sides["crawl"]), strict=True):
        row = (
            Extracted(reason=f"extract_error:{page.error}")
            if page.error
            else extract_page(page.payload, charset, kind, config, model)
        )
        batch.append(row)
        size += row.text_chars or 0
        if size > BATCH_CHARS:
            column_wise()
            size = 0
    column_wise()
    return docs.select(KEEPS).hstack(pl.concat(frames))


EXTRACT = Stage(
    name="extract",
    version=2,
    run=run,
    config=ExtractConfig,
    needs=dict.fromkeys((*KEEPS, "kind", "charset", "field"), pl.String()) | {"offset": pl.Int64(), "skip": pl.Int64()},
    adds=ADDS,
    signals=SIGNALS,
    keeps=KEEPS,
    filters=True,
    sides={"crawl": "crawl", "model": "file"},
)
