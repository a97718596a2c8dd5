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

        def add(kind: str, url: str, content: bytes, headers: dict[str, str]) -> None:
            # A length keeps warcio from buffering each record in a temporary file.
            written = {"WARC-Record-ID": record_id(dump, kind, url)} | headers
            target = None if kind == "warcinfo" else url
            record = writer.create_warc_record(target, kind, BytesIO(content), len(content), warc_headers_dict=written)
            writer.write_record(record)

        info = f"software: winnow simulated crawl\r\nformat: WARC File Format 1.0\r\nisPartOf: {dump}\r\n"
        add("warcinfo", path.name, info.encode(), {"WARC-Filename": path.name, "WARC-Date": stamp(first)})
        for number, page in enumerate(responses, first):
            common = {"WARC-Date": stamp(number), "WARC-IP-Address": f"192.0.2.{1 + number % 254}"}
            to_answer = {"WARC-Concurrent-To": record_id(dump, "response", page.url)}
            add("request", page.url, request(page), common | to_answer)
            add("response", page.url, answer(page, number), common | {"WARC-Identified-Payload-Type": page.mime})


def request(page: Response) -> bytes:
    parts = urlsplit(page.url)
    return f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: text/html\r\nUser-Agent: winnow\r\n\r\n".encode()


def answer(page: Response, number: int) -> bytes:
    """Status line, headers and body."""
    lines = (
        f"HTTP/1.1 {STATUS[page.status]}",
        f"Content-Type: {page.mime}" + (f"; charset={page.charset}" if page.charset else ""),
        f"Date: {moment(number):%a, %d %b %Y %H:%M:%S} GMT",
        f"Server: {('nginx', 'Apache', 'lighttpd')[number % 3]}",
        "Connection: close",
        f"Content-Length: {len(page.body)}",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + page.body


def moment(number: int) -> datetime:
    return START + timedelta(seconds=7 * number)


def stamp(number: int) -> str:
    return f"{moment(number):%Y-%m-%dT%H:%M:%SZ}"
