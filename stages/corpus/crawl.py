"""The pages that rows of `records` point to, read again from the crawl.

In: rows with `source`, `id`, `url`, `offset`, `skip` and `field`, and where each source lies now. Out: one `Page` for each row, in
the order of the rows: the body as the reader of the page saw it (transfer chunks and content encodings undone), still bytes in
the page's own charset; ready text as UTF-8. Rows in file order are read in one pass: neighbours share blocks of a remote file, and
records that share a gzip member share its decompression.
A page that cannot be decoded says so in `error`; a file that is gone, or is not the one that was indexed, raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

import polars as pl

from stages.corpus.containers import Blocks, Member, container, joined, plain, stream
from stages.corpus.http_body import BodyError, decode
from stages.corpus.ready_text import clean, parquet_text, parse, read_line
from stages.corpus.sources import open_source
from stages.corpus.warc import http_head, read_head
from stages.corpus.window import Window
from storage.problem import Problem

PAGE_BYTES = 80 << 20
"""No record or line is read beyond this: the largest page that `records` may be told to keep, and its headers."""
NEEDED = ("source", "id", "url", "offset", "skip", "field")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """A page's bytes, or the short name of what kept them from being read."""

    payload: bytes
    error: str | None = None


class ChangedError(Exception):
    """What lies at a row's place is not what was indexed."""


def read_pages(docs: pl.DataFrame, crawl: Mapping[str, str]) -> Iterator[Page]:
    """A page for each row of `docs`. `crawl`: source -> URL of the crawl file."""
    with ExitStack() as opened:
        current, reader = "", None
        for row in docs.select(NEEDED).iter_rows(named=True):
            if reader is None or row["source"] != current:
                opened.close()
                current = row["source"]
                if current not in crawl:
                    raise Problem(
                        f"No crawl file is known for source {current}; it holds {row['url']}. Run again with all sources."
                    )
                reader = CrawlFile(opened.enter_context(open_source(crawl[current])))
            yield _page(reader, row, crawl[current])


def read_page(url: str, row: Row) -> Page:
    """One page, from the crawl file at `url`."""
    with open_source(url) as file:
        return _page(CrawlFile(file), row, url)


def sized(rows: Iterable[dict[str, Any]], source: str, file: BinaryIO) -> Iterator[dict[str, Any]]:
    """Rows whose `bytes` are those of the decoded page: a part must be bounded by what it takes to hold it, and a bomb is small on disk.

    Only compressed bodies are read twice for it, and published crawls have none.
    """
    pages: CrawlFile | None = None
    for row in rows:
        if row.pop("encoded", False) and row["reason"] is None:
            pages = pages or CrawlFile(file)
            with suppress(ChangedError, BodyError):  # `extract` will say so
                row["bytes"] = max(row["bytes"], len(pages.page(row | {"source": source}).payload))
        yield row


def _page(reader: CrawlFile, row: Row, url: str) -> Page:
    try:
        return reader.page(row)
    except BodyError as broken:
        return Page(b"", str(broken))
    except ChangedError as changed:
        if (row.get("reason") or "").startswith("record_error:"):
            return Page(b"", row["reason"].removeprefix("record_error:"))
        raise Problem(
            f"{url} is not the file that was indexed: expected {row['url'] or row['id']} at byte {row['offset']}, "
            f"found {changed}. Run again, so that it is indexed anew."
        ) from changed


class CrawlFile:
    """A crawl file that goes forward as long as its rows do."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._blocks = Blocks(file)
        self._kind = container(self._blocks)
        self._is_parquet = bytes(self._blocks.at(0, 4)) == b"PAR1"
        self._texts: Iterator[tuple[int, str]] | None = None
        self._next_text = 0
        self._window: Window | None = None
        self._offset = -1

    def page(self, row: Row) -> Page:
        """The page of one row."""
        if row["field"] is None:
            return self._record(row)
        return self._table_row(row) if self._is_parquet else self._line(row)

    def _at(self, offset: int, skip: int) -> Window:
        """A window at a row's place."""
        if self._kind == "plain":
            return Window(lambda position: plain(self._blocks, position), offset, self._blocks.size)
        if self._window is None or self._offset != offset or self._window.position > skip:
            member = Member(offset, offset)
            self._offset = offset
            self._window = Window(lambda _: joined(self._blocks, member, self._kind))
        self._window.skip(skip - self._window.position)
        return self._window

    def _record(self, row: Row) -> Page:
        window = self._at(row["offset"], row["skip"])
        head = read_head(window)
        if isinstance(head, str):
            raise ChangedError(f"no record ({head})")
        made_up = row["id"].startswith(f"{row['source']}:")
        if (row["url"] and not head.url.startswith(row["url"])) or not (made_up or head.id == row["id"]):
            raise ChangedError(f"{head.id or 'a record'} of {head.url}")
        if head.length > PAGE_BYTES:
            return Page(b"", "too_large")
        block = window.take(head.length)
        if len(block) < head.length:
            raise ChangedError(f"{len(block):,} of {head.length:,} bytes of it")
        if not head.mime.startswith("application/http"):
            return Page(block)
        http = http_head(block)
        return Page(decode(block[http.size :], http.fields)) if http else Page(block, "no_http")

    def _line(self, row: Row) -> Page:
        if self._kind == "plain":
            window = self._at(row["offset"], 0)
        else:
            if self._window is None or self._window.position > row["skip"]:
                whole = Member(0, 0)
                self._window = Window(lambda _: stream(self._blocks, whole))
            window = self._window
            window.skip(row["skip"] - window.position)
        line = read_line(window, PAGE_BYTES)
        if line is None:
            return Page(b"", "too_large")
        found = parse(line)
        if found is None or not isinstance(found.get(row["field"], ""), str | None):
            raise ChangedError(f"no JSON object with text in {row['field']!r}")
        return Page(clean(found.get(row["field"]) or "").encode())

    def _table_row(self, row: Row) -> Page:
        if self._texts is None or row["offset"] < self._next_text:
            self._texts = parquet_text(self._file, row["field"], row["offset"])
        for number, text in self._texts:
            self._next_text = number + 1
            if number == row["offset"]:
                return Page(text.encode())
        raise ChangedError("the end of the table")
