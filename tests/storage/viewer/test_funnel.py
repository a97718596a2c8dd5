"""The funnel: every page is either kept or under its reason, in numbers, in the widths of the picture and behind every link."""

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from storage.runs import RunRecord, records
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer.funnel_page import MOST, TRUNK, draw, passages

from .conftest import HOSTILE_TEXTS, client
from .test_document import PAGE, VERDICT, shards
from .test_pages import Links


def address(store: Store) -> str:
    return f"/runs/{next(records(store)).id}/funnel"


def test_a_run_leads_to_its_funnel_with_all_counts(browser: TestClient, store: Store, made: dict[str, Snapshot]) -> None:
    path = address(store)
    assert f'href="{path}"' in browser.get(path.removesuffix("/funnel")).text
    html = browser.get(path).text
    assert 'aria-label="url: 5,000 seen, 4,500 kept"' in html
    assert 'aria-label="500 dropped by url: too_short"' in html
    assert "style=" not in html
    table = re.sub(r"<[^>]+>|\s+", " ", html[html.index('<table class="plain">') :])
    assert re.search(r"url\s+5,000\s+4,500\s+500\s+10\.0 %\s+too_short\s+500\s+10\.0 %", table)
    assert "&lt;b&gt;reason&lt;/b&gt;" in html
    assert "report" not in table, "a stage that drops nothing is not in the funnel"


@pytest.fixture
def many(tmp_path: Path) -> tuple[Store, Any]:
    """20 reasons, hostile ones among them; reason n drops n + 1 of 1,000 pages."""
    reasons = [*HOSTILE_TEXTS, *(f"rule_{n}" for n in range(20 - len(HOSTILE_TEXTS)))]
    dropped = [{"reason": reason} for n, reason in enumerate(reasons) for _ in range(n + 1)]
    store, record = Store(str(tmp_path)), RunRecord("corpus", {})
    shards(store, record, "records", PAGE | VERDICT, [[*dropped, *([{}] * (1000 - len(dropped)))]])
    shards(store, record, "corpus", PAGE, [[{}] * 790])
    record.finish(store, "completed")
    return store, record


def test_every_link_shows_as_many_rows_as_it_says(many: tuple[Store, Any]) -> None:
    store, record = many
    [first, last] = passages(store, record)
    assert [loss.rows for loss in first.losses] == [*range(20, 20 - MOST, -1), sum(range(1, 20 - MOST + 1))]
    assert last.losses == ()
    browser = client(store.url)
    for path, rows in [*((loss.path, loss.rows) for loss in first.losses), (first.path, 790), (last.path, 790)]:
        answer = browser.get(path + ("&" if "?" in path else "?") + "format=json&size=500&seconds=60").json()
        assert (answer["matching"] or answer["total"]) == rows


def test_widths_are_in_proportion_and_bands_do_not_cross(many: tuple[Store, Any]) -> None:
    store, record = many
    sections, height = draw(passages(store, record))
    widths = [float(re.findall(r"H([\d.]+)", section.trunk)[0]) for section in sections]
    assert widths == [TRUNK, pytest.approx(TRUNK * 0.79, abs=0.01)]
    bands = sections[0].bands
    for band, lower in itertools.pairwise(bands):
        assert lower.y - band.y >= 19
        left, right = map(float, re.match(r"M([\d.]+) [\d.]+H([\d.]+)", band.shape).groups())  # type: ignore[union-attr]
        assert right - left == pytest.approx(TRUNK * band.loss.rows / 1000, abs=0.02)
        assert float(re.findall(r"H([\d.]+)", lower.shape)[0]) == pytest.approx(left, abs=0.02)
    assert bands[-1].y < sections[1].top < height


def test_hostile_reasons_are_text(many: tuple[Store, Any]) -> None:
    store, _ = many
    html = client(store.url).get(address(store)).text
    links = Links(html)
    assert links.scripts == ["/static/keyboard.js"]
    assert all(found.startswith(("/", "#")) for found in links.found)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\u200b]", html)


def test_a_run_without_filters_and_one_that_is_not_there_say_so(tmp_path: Path) -> None:
    store, record = Store(str(tmp_path)), RunRecord("pretrain", {})
    shards(store, record, "tokens", PAGE, [[{}]])
    record.finish(store, "completed")
    assert "No stage of this run drops anything" in client(store.url).get(address(store)).text
    answer = client(store.url).get("/runs/nosuch/funnel")
    assert (answer.status_code, "no run &#39;nosuch&#39;" in answer.text) == (404, True)


def test_a_run_of_empty_datasets_has_a_funnel(tmp_path: Path) -> None:
    store, record = Store(str(tmp_path)), RunRecord("corpus", {})
    shards(store, record, "records", PAGE | VERDICT, [[]])
    record.finish(store, "completed")
    answer = client(store.url).get(address(store))
    assert (answer.status_code, "records: 0 seen, 0 kept" in answer.text) == (200, True)
