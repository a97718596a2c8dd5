"""A simulated crawl as WARC files: warcinfo, then a request and a response per page, each record a gzip member of its own.

The bytes depend on the arguments alone: ids are UUIDs of the URL, dates count up from a fixed day, and gzip headers carry no time.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

START = datetime(2026, 10, 1, 6, 0, 0, tzinfo=UTC)
STATUS = {200: "200 OK", 404: "404 Not Found"}


@dataclass(frozen=True)
class Response:
    url: str
    body: bytes
    mime: str = "text/html"
    charset: str | None = "utf-8"
    status: int = 200


def record_id(dump: str, kind: str, url: str) -> str:
    return f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{dump} {kind} {url}')}>"


def write_warc(path: Path, dump: str, responses: Sequence[Response], first: int) -> None:
    """Write one file. `first` is the number of its first page in the whole crawl: it sets the dates."""
    with path.open("wb") as stream:
        writer = WARCWriter(stream, gzip=True)
        head = {"WARC-Record-ID": record_id(dump, "warcinfo", path.name), "WARC-Date": stamp(first)}
        info = writer.create_warcinfo_record(
            path.name, {"software": "winnow simulated crawl", "format": "WARC File Format 1.0", "isPartOf": dump}
        )
        for name, value in head.items():
            info.rec_headers.replace_header(name, value)
        writer.write_record(info)
        for number, page in enumerate(responses, first):
            common = {"WARC-Date": stamp(number), "WARC-IP-Address": f"192.0.2.{1 + number % 254}"}
            parts = urlsplit(page.url)
            asks = StatusAndHeaders(
                f"GET {parts.path or '/'} HTTP/1.1",
                [("Host", parts.netloc), ("Accept", "text/html"), ("User-Agent", "winnow")],
                is_http_request=True,
            )
            answer_id = record_id(dump, "response", page.url)
            ids = common | {"WARC-Record-ID": record_id(dump, "request", page.url), "WARC-Concurrent-To": answer_id}
            writer.write_record(
                writer.create_warc_record(page.url, "request", http_headers=asks, payload=BytesIO(), warc_headers_dict=ids)
            )
            mime = page.mime if page.charset is None else f"{page.mime}; charset={page.charset}"
            headers = [("Content-Type", mime), ("Date", f"{moment(number):%a, %d %b %Y %H:%M:%S} GMT"), ("Server", ("nginx", "Apache", "lighttpd")[number % 3]),
                       ("Connection", "close"), ("Content-Length", str(len(page.body)))]  # fmt: skip
            answer = StatusAndHeaders(STATUS[page.status], headers, protocol="HTTP/1.1")
            ids = common | {"WARC-Record-ID": answer_id, "WARC-Identified-Payload-Type": page.mime}
            writer.write_record(
                writer.create_warc_record(
                    page.url, "response", http_headers=answer, payload=BytesIO(page.body), warc_headers_dict=ids
                )
            )


def moment(number: int) -> datetime:
    return START + timedelta(seconds=7 * number)


def stamp(number: int) -> str:
    return f"{moment(number):%Y-%m-%dT%H:%M:%SZ}"
