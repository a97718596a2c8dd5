"""Pages of a simulated crawl (stages/corpus/simulate.py) as gold: their main text is known, for they were made around it."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
from warcio.archiveiterator import ArchiveIterator

from stages.corpus.encoding import to_utf8
from stages.extraction.pages import GoldPage, site_of
from stages.stage import Input

SOURCE = "simulated"


def simulated_pages(crawl: Input) -> Iterator[GoldPage]:
    """The pages that have text, in the order of the crawl."""
    truth = pl.read_parquet(crawl.folder / "truth.parquet", columns=["id", "text"], glob=False)
    known: dict[str, str] = {name: text for name, text in truth.iter_rows() if text}
    for name in crawl.names:
        if name.endswith(".warc.gz"):
            yield from _of_file(crawl.folder / name, known)


def _of_file(path: Path, known: dict[str, str]) -> Iterator[GoldPage]:
    with path.open("rb") as file:
        for record in ArchiveIterator(file):
            identity = record.rec_headers.get_header("WARC-Record-ID")
            if record.rec_type != "response" or identity not in known:
                continue
            html, _ = to_utf8(record.content_stream().read(), None)  # its pages say themselves how they are encoded
            url = record.rec_headers.get_header("WARC-Target-URI")
            yield GoldPage(identity, html, known[identity], site_of(url) or identity, source=SOURCE)
