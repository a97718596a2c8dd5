"""The viewer in a real browser: keys, both colour schemes, and pages of a crawl that attack whoever looks at them."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from storage.artifact import resolve
from storage.store import Store
from tests.browser.chromium import Seen, tab
from tests.browser.conftest import ATTACKS
from tests.flows.test_up import free_port, until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]

# The least contrast between a text and what it stands on, by WCAG 2. A canvas reads every notation of colours that CSS has.
CONTRAST = """() => {
  const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const fill = (colour, alpha) => { pen.globalAlpha = alpha; pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); };
  const light = () => {
    const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  let least = [99, ""];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walk.nextNode());) {
    const at = node.parentElement, style = getComputedStyle(at);
    if (!node.data.trim() || !at.checkVisibility() || at.closest("svg")) continue;
    const around = [];
    for (let up = at; up; up = up.parentElement) around.unshift(getComputedStyle(up));
    fill("white", 1);
    for (const one of around) fill(one.backgroundColor, 1);
    const ground = light();
    fill(style.color, around.reduce((alpha, one) => alpha * one.opacity, 1));
    const ink = light(), ratio = (Math.max(ink, ground) + .05) / (Math.min(ink, ground) + .05);
    if (ratio < least[0]) least = [ratio, node.data.trim().slice(0, 60)];
  }
  return least;
}"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, attacked: Path, lists: Path) -> Store:
    folder = tmp_path_factory.mktemp("seen")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    run = ["-m", "flows", "run", "corpus", "--set", f'sources=["{attacked}"]', "--set", f"lists={lists}", "--store", "store"]
    subprocess.run([sys.executable, *run], cwd=folder, env=environment | {"PYTHONPATH": str(ROOT)}, check=True, timeout=200)
    return Store(str(folder / "store"))


@pytest.fixture(scope="module")
def viewer(store: Store) -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "flows.viewer", store.url, str(port), "", str(os.getpid())], cwd=ROOT)

    def answers() -> bool:
        with socket.socket() as probe:
            return process.poll() is None and probe.connect_ex(("127.0.0.1", port)) == 0

    until(answers)
    yield f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


def address(viewer: str, store: Store, stage: str) -> str:
    return f"{viewer}/{resolve(store, stage).reference}"


def test_keys_search_move_open_and_turn_pages(chromium: "Browser", viewer: str, store: Store) -> None:
    with tab(chromium, seen := Seen()) as page:

        def focused() -> str:
            return str(page.evaluate("document.activeElement.getAttribute('href') ?? document.activeElement.type"))

        page.goto(f"{address(viewer, store, 'extract')}?size=50")
        rows = [link.get_attribute("href") for link in page.locator("main a.open").all()]
        for key, link in (("j", rows[0]), ("j", rows[1]), ("j", rows[2]), ("k", rows[1])):
            page.keyboard.press(key)
            assert focused() == link
        page.keyboard.press("Control+j")
        assert focused() == rows[1], "keys of the browser itself stay its own"
        page.keyboard.press("/")
        assert focused() == "search"
        page.keyboard.type("jnk/")
        assert (focused(), page.get_by_role("searchbox").input_value()) == ("search", "jnk/"), "in a field they are letters"
        page.keyboard.press("Escape")
        assert focused() == "None"
        page.keyboard.press("n")
        page.wait_for_url("**page=2**")
        page.keyboard.press("p")
        page.wait_for_url(lambda url: "page=2" not in url)
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url("**/row?number=0")
        page.keyboard.press("n")
        page.wait_for_url("**/row?number=1")
        assert seen.beyond(viewer) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_it_stands_on(chromium: "Browser", viewer: str, store: Store, scheme: str) -> None:
    c4 = address(viewer, store, "c4")
    with tab(chromium, seen := Seen(), color_scheme=scheme) as page:
        for at in (
            viewer,
            f"{viewer}/runs",
            c4,
            f"{c4}?search=the",
            f"{c4}/row?number=0",
            f"{c4}/columns",
            f"{c4}/sql",
            f"{c4}/compare",
        ):
            page.goto(at)
            ratio, text = page.evaluate(CONTRAST)
            assert ratio > 4.5, f"{text!r} of {at} has a contrast of {ratio:.2f}"
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
            assert (min(ground) > 200) if scheme == "light" else (max(ground) < 60)
        assert seen.violations == []


def test_a_large_lineage_opens_on_the_artifact_that_was_asked_for(chromium: "Browser", viewer: str, store: Store) -> None:
    with tab(chromium, seen := Seen()) as page:
        page.goto(f"{address(viewer, store, 'corpus')}/lineage")
        page.wait_for_function("document.querySelector('.picture').scrollTop > 0")
        shown = """(box => {
          const here = box.querySelector('.here').getBoundingClientRect(), around = box.getBoundingClientRect();
          return around.top >= 0 && here.top >= around.top && here.bottom <= Math.min(around.bottom, innerHeight);
        })(document.querySelector('.picture'))"""
        assert page.evaluate(shown)
        assert page.evaluate("scrollY") == 0, "the heading stays in sight"
        assert seen.violations == []


def test_hostile_pages_are_only_ever_shown(chromium: "Browser", viewer: str, store: Store) -> None:
    with tab(chromium, seen := Seen()) as page:
        extract, records, sources = (address(viewer, store, stage) for stage in ("extract", "records", "sources"))
        pages = [
            viewer,
            f"{viewer}/runs",
            sources,
            f"{sources}/files",
            records,
            f"{records}/files",
            f"{records}/columns",
            extract,
        ]
        found = f"{extract}?search=hacked"
        pages += [
            found,
            f"{extract}/columns",
            f"{extract}/lineage",
            f"{extract}/sql?q=select+*+from+data+where+text+like+'%25hacked%25'",
        ]
        page.goto(found)
        assert page.locator("tr mark").count() >= len(ATTACKS) - 1
        pages += links(page, "main a.open") + links(page, "main a.follow")
        page.goto(f"{viewer}/document")
        page.get_by_role("searchbox").fill("evil.example")
        page.get_by_role("button", name="Follow").click()
        assert page.locator("main a.open").count() >= 3
        pages += [page.url, *links(page, "main a.open")]
        originals: list[str] = []
        for at in pages:
            page.goto(at)
            harmless(page, viewer)
            originals += links(page, "main a[href^='/original?']")
        assert len(set(originals)) >= len(ATTACKS)
        for at in set(originals):
            page.goto(at)
            assert "<article>" in page.locator("pre.source").inner_text()
            harmless(page, viewer)
        assert (seen.dialogs, seen.violations, seen.beyond(viewer)) == ([], [], [])


def links(page: "Page", selector: str) -> list[str]:
    return [
        str(link)
        for link in page.locator(selector).evaluate_all("all => all.map(one => new URL(one.getAttribute('href'), location).href)")
    ]


def harmless(page: "Page", viewer: str) -> None:
    """Nothing ran, nothing was built from what was crawled, no link leads out, and no character turns the text around."""
    assert page.evaluate("window.hacked") is None
    assert page.locator("main :is(script, style, link, img)").count() == 0
    assert all(one.startswith(f"{viewer}/") for one in links(page, "a[href]")), page.url
    text = page.locator("body").inner_text()
    assert not {"\u202e", "\u202c"} & set(text), page.url
