"""Pages with the main text that somebody marked in them: what the model is made from and held against.

A file is Parquet, or JSON lines (`.jsonl`, also `.gz`, `.xz`, `.zst`), one row a page:

| column | | |
|---|---|---|
| html | string | the page |
| gold_text | string | its main text; empty: it has none |
| url | string, optional | its host keeps pages of one site together in cross-validation |
| page_id, language, source, page_type | string, optional | scores are told by each of the last three |
"""

import gzip
import io
import json
import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl
import tldextract
import zstandard

from storage.problem import Problem

_OPEN = {".gz": gzip.open, ".xz": lzma.open}
_SUFFIX = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)  # the bundled list: nothing is fetched


@dataclass(frozen=True, slots=True)
class GoldPage:
    id: str
    html: bytes
    """UTF-8."""
    gold: str
    site: str
    """Registered domain; the page's id where its URL is unknown."""
    language: str | None = None
    source: str | None = None
    page_type: str | None = None


def gold_pages(path: Path) -> Iterator[GoldPage]:
    """Raises Problem for a file of another kind, and for a row without html or gold_text."""
    for number, row in enumerate(_rows(path), 1):
        if not isinstance(row.get("html"), str) or not isinstance(row.get("gold_text"), str):
            raise Problem(
                f"{path}, row {number}: expected the strings html and gold_text, found {', '.join(sorted(row)) or 'nothing'}"
            )
        name = str(row.get("page_id") or f"{path.stem}:{number}")
        site = site_of(row.get("url") or "") or name
        yield GoldPage(
            name,
            row["html"].encode("utf-8", "replace"),
            row["gold_text"],
            site,
            *(row.get(key) for key in ("language", "source", "page_type")),
        )


def site_of(url: str) -> str:
    """The registered domain; empty for what is no URL."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return ""
    return _SUFFIX(host).top_domain_under_public_suffix or host


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if path.suffix == ".parquet":
        try:
            rows = pl.read_parquet(path, glob=False)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise Problem(f"{path} cannot be read as Parquet: {error}") from None
        yield from rows.iter_rows(named=True)
        return
    if ".jsonl" not in path.suffixes[-2:]:
        raise Problem(
            f"{path} is neither .parquet nor .jsonl (.gz, .xz, .zst); expected pages with the columns html and gold_text"
        )
    try:
        with _text(path) as lines:
            for number, line in enumerate(lines, 1):
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise Problem(f"{path}, line {number}: expected a JSON object, found {type(row).__name__}")
                yield row
    except (OSError, EOFError, ValueError, lzma.LZMAError, zstandard.ZstdError) as error:
        raise Problem(f"{path} cannot be read as JSON lines: {error}") from None


def _text(path: Path) -> io.TextIOWrapper:
    if path.suffix == ".zst":
        return io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(path.open("rb"), closefd=True), "utf-8")
    opener = _OPEN.get(path.suffix)
    return io.TextIOWrapper(opener(path) if opener else path.open("rb"), "utf-8")  # type: ignore[operator]
