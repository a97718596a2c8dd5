"""Headless Chromium under Playwright, and what its pages ask for and do."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WATCH = "addEventListener('securitypolicyviolation', event => violated(`${event.violatedDirective} ${event.blockedURI}`))"


@dataclass
class Seen:
    """What pages did."""

    requests: list[str] = field(default_factory=list)
    """Also those that never got an answer."""
    dialogs: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    """Of a page's content security policy."""

    def beyond(self, *origins: str) -> list[str]:
        """Requests to anywhere else; data: and blob: addresses stay within the page."""
        elsewhere = [one for one in self.requests if urlsplit(one).scheme not in ("data", "blob")]
        return [one for one in elsewhere if not one.replace("ws://", "http://", 1).startswith(tuple(f"{at}/" for at in origins))]


def program() -> str | None:
    """Where Chromium is installed, if it is."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def launched(executable: str) -> Iterator["Browser"]:
    """With a profile of its own, which goes when it goes."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def tab(browser: "Browser", seen: Seen, **options: Any) -> Iterator["Page"]:
    """A tab with no memory of others, whose doings are added to `seen`. `options`: Playwright's of a context, such as color_scheme."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)
    context.set_default_timeout(30_000)
    context.expose_function("violated", lambda what: seen.violations.append(what))
    context.add_init_script(WATCH)
    context.on("request", lambda request: seen.requests.append(request.url))
    page = context.new_page()
    page.on("websocket", lambda socket: seen.requests.append(socket.url))

    def dismiss(dialog: Any) -> None:
        seen.dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    yield page
    context.close()
