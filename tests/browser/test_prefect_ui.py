"""What a person does in the UI of the pinned Prefect: fill in the form, watch, follow the funnel into the viewer, cancel, retry."""

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from storage.artifact import resolve
from storage.shards import read_shard
from storage.store import Store
from tests.browser.chromium import Seen, tab
from tests.flows.test_up import Up, started, until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow
ENDED = 120_000  # ms, for a run


@pytest.fixture(scope="module")
def up(chromium: "Browser", tmp_path_factory: pytest.TempPathFactory, attacked: Path) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("up")
    shutil.copytree(attacked, folder / "crawl")
    with started(folder, PREFECT_RUNNER_POLL_FREQUENCY="2") as running:  # seconds until a run is picked up, instead of 10
        yield running


@pytest.fixture(scope="module")
def seen() -> Seen:
    """By all pages of this file together."""
    return Seen()


def prefect(up: Up) -> str:
    return up.api.removesuffix("/api")


def completed(up: Up) -> str | None:
    """A run of the corpus flow by another test, if there was one."""
    runs = up.ask(
        "flow_runs/filter", {"flows": {"name": {"any_": ["corpus"]}}, "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    )
    return next((run["id"] for run in runs), None)


def form(page: "Page", up: Up, name: str) -> None:
    """By clicking, from the front page to the form of deployment `name`, with every field on the screen."""
    page.goto(prefect(up))
    page.get_by_role("link", name="Deployments").click()
    page.locator(f"main a[href$='/deployment/{up.deployment(name)['id']}']").click()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Custom run").click()
    page.get_by_label("Notify").wait_for()


def choose(page: "Page", action: str) -> None:
    """`action` of a run's menu, and yes to the question whether it is meant."""
    page.get_by_role("button", name="Open menu").click()
    page.get_by_role("menuitem", name=action, exact=True).click()
    page.get_by_role("alertdialog").or_(page.get_by_role("dialog")).get_by_role("button", name=action).last.click()


def wait_for_state(page: "Page", state: str) -> None:
    """Of the run whose logs are on the screen: nothing else there says just that."""
    page.locator("main").get_by_text(state, exact=True).first.wait_for(timeout=ENDED)


def test_a_run_started_in_the_form_is_watched_until_it_is_completed(chromium: "Browser", up: Up, seen: Seen, lists: Path) -> None:
    with tab(chromium, seen) as page:
        form(page, up, "corpus")
        shown = page.locator("main").inner_text()
        schema: dict[str, Any] = up.deployment("corpus")["parameter_openapi_schema"]["definitions"]
        fields = [one for section in schema.values() for one in section.get("properties", {}).values() if "description" in one]
        assert len(fields) > 50
        for field in fields:
            assert re.sub(r"\s+", " ", field["description"]) in shown
            assert field.get("title", "") in shown
        page.get_by_label("Lists").fill(str(lists))
        page.get_by_role("button", name="Submit").click()
        page.get_by_role("button", name="View run").click()
        wait_for_state(page, "Completed")
        assert page.get_by_text(f"corpus of {up.folder}/crawl").count()
        page.get_by_role("tab", name="Task Runs").click()
        page.get_by_text("15 Task runs").wait_for()


def test_the_funnel_of_a_run_leads_to_a_dropped_page_and_why(chromium: "Browser", up: Up, seen: Seen, lists: Path) -> None:
    run = completed(up) or up.end(up.start("corpus", lists=str(lists)))["id"]
    store = Store(str(up.folder / "store"))
    c4 = resolve(store, "c4")
    rows = [row for file in c4.files for row in read_shard(store, c4.folder, file).to_dicts()]
    dropped = next(row for row in rows if row["reason"] == "lorem_ipsum")
    with tab(chromium, seen) as page:
        page.goto(f"{prefect(up)}/v2/runs/flow-run/{run}?tab=Artifacts")
        page.locator("main a[href$='/artifacts/key/funnel']").click()
        page.locator("main a[href*='/artifacts/artifact/']").first.click()
        page.get_by_role("link", name="c4", exact=True).click()
        page.wait_for_url(f"{up.viewer}/{c4.reference}")
        page.get_by_role("searchbox").fill(dropped["text"].splitlines()[0])
        page.keyboard.press("Enter")
        page.locator("tr.gone", has_text=dropped["url"]).locator("a.open").click()
        verdict = page.locator(".verdict").inner_text()
        assert verdict == "dropped: lorem_ipsum measured 1, threshold 0"


def test_a_wrong_value_stays_in_the_form_with_its_field_named(chromium: "Browser", up: Up, seen: Seen) -> None:
    before = len(up.ask("flow_runs/filter"))
    with tab(chromium, seen) as page:
        form(page, up, "corpus")
        page.get_by_label("Min Score").fill("7")
        page.get_by_role("button", name="Submit").click()
        told = page.evaluate("[document.activeElement.labels[0].innerText, document.activeElement.validationMessage]")
        assert told == ["Min Score (Optional)", "Value must be less than or equal to 1."]
        page.get_by_label("Min Score").fill("0.7")
        sources = page.locator(".group", has=page.get_by_text("Sources", exact=True)).last
        sources.get_by_role("button", name="Open menu").last.click()
        page.get_by_role("menuitem", name="Delete").click()
        page.get_by_role("button", name="Submit").click()
        sources.get_by_text("'sources' is a required property").wait_for()
    assert len(up.ask("flow_runs/filter")) == before


def test_a_run_cancelled_and_retried_in_the_ui_goes_on_where_it_stopped(
    chromium: "Browser", up: Up, seen: Seen, lists: Path
) -> None:
    run = up.start("demo", until="corpus", lists=str(lists), simulate={"pages": 8000})
    with tab(chromium, seen) as page:
        page.goto(f"{prefect(up)}/v2/runs/flow-run/{run}")
        until(lambda: up.tasks(run).get("url") == "Completed", 120)  # `extract` takes as long as a slow browser
        choose(page, "Cancel")
        wait_for_state(page, "Cancelled")
        choose(page, "Retry")
        wait_for_state(page, "Completed")
    first, second = attempt(up, run, 1), until(lambda: ended(attempt(up, run, 2)))
    done = [name for name, state in first.items() if state == "Completed"]
    assert {"simulate", "records", "url"} <= set(done)
    assert {second[name] for name in done} == {"Cached"}
    assert Counter(second.values())["Completed"] >= 5


def attempt(up: Up, run: str, number: int) -> dict[str, str]:
    """The states of the stages in a run's first or second attempt."""
    found = up.ask("task_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
    return {task["name"]: task["state_name"] for task in found if task["flow_run_run_count"] == number}


def ended(states: dict[str, str]) -> dict[str, str] | None:
    """Prefect writes the states of tasks down a moment after the run has ended."""
    return states if "assess" in states and set(states.values()) <= {"Cached", "Completed"} else None


def test_nobody_but_this_machine_was_ever_asked_for_anything(chromium: "Browser", up: Up, seen: Seen) -> None:
    paths = "dashboard runs flows deployments work-pools blocks variables automations events concurrency-limits settings"
    with tab(chromium, seen) as page:
        for path in (*paths.split(), f"deployments/deployment/{up.deployment('corpus')['id']}/run"):
            page.goto(f"{prefect(up)}/v2/{path}", wait_until="networkidle")
    assert sum(one.startswith(f"{up.api}/") for one in seen.requests) > 20
    assert Counter(seen.beyond(prefect(up), up.viewer)) == {}
    assert seen.dialogs == []
