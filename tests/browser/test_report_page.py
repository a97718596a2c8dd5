"""A model's report in a real browser, opened as the file that it is: it asks nobody, runs nothing, and can be read anywhere."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from storage.report import report
from tests.browser.chromium import Seen, tab
from tests.browser.test_viewer import CONTRAST
from tests.storage.report.conftest import Shop, make

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow
PICTURES = os.environ.get("WINNOW_REPORT_PICTURES")
"""A folder for pictures of the page, for a person to look at."""
WIDTHS = {"wide": 1280, "narrow": 400}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    shop = Shop(folder / "store")
    path = folder / "report.html"
    path.write_text(report(shop.store, make(shop)["grpo"]), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [*WIDTHS])
def test_it_asks_nobody_runs_nothing_and_can_be_read(chromium: "Browser", written: Path, scheme: str, width: str) -> None:
    seen = Seen()
    with tab(chromium, seen, color_scheme=scheme) as page:
        page.set_viewport_size({"width": WIDTHS[width], "height": 900})
        page.goto(written.as_uri())
        assert page.evaluate("window.hacked") is None
        assert [one for one in seen.requests if not one.startswith("data:")] == [written.as_uri()]
        assert not seen.dialogs
        assert not seen.violations
        assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width], "only pictures and tables scroll sideways"
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        ratio, text = page.evaluate(CONTRAST)
        assert ratio >= 4.5, f"{text!r} has a contrast of {ratio:.2f}"
        if PICTURES:
            page.screenshot(path=f"{PICTURES}/report-{scheme}-{width}.png", full_page=True)


def test_the_contents_and_every_reference_lead_to_their_place(chromium: "Browser", written: Path) -> None:
    with tab(chromium, Seen()) as page:
        page.goto(written.as_uri())
        page.get_by_role("link", name="Scores before and after").click()
        assert page.locator("#scores h2").is_visible()
        assert page.evaluate("scrollY") > 500
        reference = page.locator("#cost a.reference").nth(3)
        reference.click()
        assert page.locator("tr:target td.reference").inner_text() == reference.inner_text()
        page.locator("svg.lineage a", has_text="sft_first").click()
        assert page.locator("tr:target td").first.inner_text() == "sft_first"


def test_in_print_settings_are_open_and_nothing_is_cut_off(chromium: "Browser", written: Path) -> None:
    with tab(chromium, Seen(), color_scheme="dark") as page:
        page.goto(written.as_uri())
        setting = page.locator(".stage-settings dt", has_text="schedule.warmup")
        assert not setting.is_visible()
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 718, "height": 1000})  # A4 less its margins
        assert setting.is_visible()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        cut = page.evaluate(
            "[...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > innerWidth).map(one => one.ariaLabel)"
        )
        assert cut == []
        assert page.pdf().startswith(b"%PDF")
        if PICTURES:
            page.screenshot(path=f"{PICTURES}/report-print.png", full_page=True)
