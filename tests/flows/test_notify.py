"""A run that fails tells the Prefect block that its parameters name."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.flows.conftest import Winnow


@pytest.fixture
def heard() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """An address on loopback, and what was posted to it."""
    posted: list[dict[str, str]] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", posted
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_failed_run_is_told_to_the_block_that_it_names(
    winnow: Winnow, environment: dict[str, str], heard: tuple[str, list[dict[str, str]]], tmp_path: Path
) -> None:
    from prefect.blocks.webhook import Webhook
    from prefect.settings import PREFECT_API_URL, temporary_settings

    address, posted = heard
    with temporary_settings({PREFECT_API_URL: environment["PREFECT_API_URL"]}):
        Webhook(url=address).save("ops", overwrite=True)  # type: ignore[arg-type, unused-ignore]
    sources = f'sources=["{tmp_path}/no.warc.gz"]'
    winnow("run", "corpus", "--set", sources, "--set", "notify=webhook/ops", "--store", str(tmp_path / "store"), code=2)
    [told] = posted
    assert told["text"].startswith(f"corpus of {tmp_path}/no.warc.gz (corpus): Failed: ")
    assert "does not exist" in told["text"]


def test_a_block_that_does_not_exist_hides_no_failure(winnow: Winnow, tmp_path: Path) -> None:
    sources = f'sources=["{tmp_path}/no.warc.gz"]'
    failed = winnow("run", "corpus", "--set", sources, "--set", "notify=webhook/none", "--store", str(tmp_path / "store"), code=2)
    assert "does not exist" in failed.stderr
    assert "Traceback" not in failed.stderr
