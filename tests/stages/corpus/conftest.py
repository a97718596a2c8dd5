"""A web server on loopback for tests that read crawls over HTTP."""

import http.server
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass
class Web:
    """`folder` is served at `base`; `asked` lists the Range header (or the method) of every request."""

    folder: Path
    base: str = ""
    ranges: bool = True
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    web = Web(tmp_path / "web")
    web.folder.mkdir()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = web.folder / self.path.partition("?")[0].lstrip("/")
            web.asked.append(self.headers.get("Range", self.command))
            data = path.read_bytes() if path.is_file() else b""
            wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")) if web.ranges else None
            if wanted:
                first, last = int(wanted[1]), min(int(wanted[2]), len(data) - 1)
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
                data = data[first : last + 1]
            else:
                self.send_response(200 if path.is_file() else 404)
            if path.is_file():
                self.send_header("ETag", f'"{path.stat().st_mtime_ns}"')
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.base = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    yield web
    server.shutdown()
    thread.join()
    server.server_close()
