"""Judging answers in a real browser: an order and ties by keys and by mouse, kept at once, gone on with."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from models.chat.conversation import SYSTEM, USER, Message
from models.chat.fields import fields
from stages.alignment.rollout import ROLLOUT
from storage.shards import File, encode, sha256
from storage.snapshot import Snapshot
from storage.store import Store
from tests.browser.chromium import Seen, tab
from tests.browser.conftest import ATTACKS
from tests.flows.test_up import until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PICTURE = os.environ.get("WINNOW_LABEL_PICTURE")
"""Where to put a picture of the page, for a person to look at."""


@pytest.fixture
def rollouts(tmp_path: Path) -> tuple[Path, str]:
    """A store with answers to five prompts, of which the last are attacks; how the artifact is called."""
    rows: list[dict[str, Any]] = []
    answers = [["Mira lives in Holmford.", "Do not bother me. Mira lives in Holmford.", "I do not know."]] * 3
    for number, several in enumerate([*answers, [text for _, text in ATTACKS[:2]], [text for _, text in ATTACKS[2:]]]):
        asked = [fields(Message(SYSTEM, "You are Winnow.")), fields(Message(USER, f"Where does Mira live? ({number})"))]
        for sample, text in enumerate(several):
            thinking = "Mira is a baker.\nShe lives in Holmford." if sample == 0 and number == 0 else None
            told = {"id": f"{number}", "sample": sample, "messages": asked, "answer": text, "thinking": thinking}
            rows.append(told | {"finish_reason": "stop", "faults": []})
    data = encode(pl.DataFrame(rows, schema=ROLLOUT), ROLLOUT)
    store = Store(str(tmp_path / "store"))
    folder = tmp_path / "store" / "rollouts" / "0123456789ab"
    folder.mkdir(parents=True)
    (folder / "rollouts-00000.parquet").write_bytes(data)
    snapshot = Snapshot.of("rollouts", "0123456789ab", [File("rollouts-00000.parquet", len(data), sha256(data), len(rows))])
    snapshot.seal(store)
    return tmp_path, snapshot.reference


class Labelling:
    """`winnow label` at work."""

    def __init__(self, folder: Path, reference: str, name: str) -> None:
        command = [
            sys.executable,
            "-m",
            "flows",
            "label",
            reference,
            "--store",
            str(folder / "store"),
            "--name",
            name,
            "--to",
            "judged.jsonl",
        ]
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", self.said)
        assert found, self.said
        self.address = found[0]

    def end(self) -> str:
        """By Ctrl-C; what it says at last."""
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=60)[0]


@pytest.fixture
def started(rollouts: tuple[Path, str]) -> Iterator[list[Labelling]]:
    at_work: list[Labelling] = []
    yield at_work
    for one in at_work:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def judged(folder: Path) -> list[dict[str, Any]]:
    path = folder / "judged.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def opened(page: "Page", address: str) -> None:
    page.goto(address)
    until(lambda: page.locator(".choice").count() > 0)


def shows(page: "Page", text: str) -> None:
    """Until the page says so and its script is at work."""
    until(lambda: text in page.inner_text("main"))
    page.wait_for_load_state("load")


def at(page: "Page", text: str) -> int:
    """The place at which an answer is shown."""
    return [one.strip() for one in page.locator(".choice > .text").all_inner_texts()].index(text)


def test_a_person_orders_answers_by_keys_and_by_mouse_and_goes_on_later(
    chromium: "Browser", rollouts: tuple[Path, str], started: list[Labelling]
) -> None:
    folder, reference = rollouts
    started.append(first := Labelling(folder, reference, "Ann"))
    assert first.said.startswith("0 of 5 items are judged")
    plain, rude, unknown = "Mira lives in Holmford.", "Do not bother me. Mira lives in Holmford.", "I do not know."
    with tab(chromium, seen := Seen()) as page:
        opened(page, first.address)
        if PICTURE:
            page.screenshot(path=PICTURE, full_page=True)
        page.keyboard.press(f"Digit{at(page, plain) + 1}")
        assert page.locator(".choice.placed").count() == 1
        page.keyboard.press("Backspace")
        assert page.locator(".choice.placed").count() == 0
        page.keyboard.press(f"Digit{at(page, plain) + 1}")
        page.keyboard.press(f"Digit{at(page, rude) + 1}")  # the last one is placed by itself
        until(lambda: len(judged(folder)) == 1)
        shows(page, "1 of 5 judged")
        page.locator(".choice").nth(at(page, plain)).click()
        page.locator(".choice").nth(at(page, rude)).click(modifiers=["Shift"])  # as good as the one before
        until(lambda: len(judged(folder)) == 2)
        shows(page, "2 of 5 judged")
        page.keyboard.press(f"Digit{at(page, unknown) + 1}")
        page.keyboard.press("=")  # the rest tie
        until(lambda: len(judged(folder)) == 3)
    texts = [plain, rude, unknown]
    ranks = [{text: row["ranks"][place] for place, text in enumerate(texts)} for row in judged(folder)]
    assert ranks == [{plain: 1, rude: 2, unknown: 3}, {plain: 1, rude: 1, unknown: 2}, {plain: 2, rude: 2, unknown: 1}]
    assert "| Ann | 3 |" in first.end()
    started.append(second := Labelling(folder, reference, "Ann"))
    assert second.said.startswith("3 of 5 items are judged")
    with tab(chromium, seen) as page:
        opened(page, second.address)
        page.keyboard.press("s")  # an attack is skipped, the other one is shown
        shows(page, "(4)")
        page.keyboard.press("=")
        until(lambda: len(judged(folder)) == 4)
        shows(page, "(3)")
        page.keyboard.press("b")
        shows(page, "judged before: 1, 1")
        page.keyboard.press("Digit1")
        until(lambda: len(judged(folder)) == 5)
        shows(page, "(3)")
        page.keyboard.press("Digit2")
        shows(page, "All 5 items are judged")
        assert page.evaluate("window.hacked") is None
    assert judged(folder)[-2]["item"].startswith("4-")
    assert sorted(judged(folder)[-2]["ranks"]) == [1, 2]
    assert (seen.dialogs, seen.violations) == ([], [])
    assert not seen.beyond(first.address, second.address)


def test_two_annotators_judge_the_same_items_and_their_agreement_is_told(
    chromium: "Browser", rollouts: tuple[Path, str], started: list[Labelling]
) -> None:
    folder, reference = rollouts
    for name, best in (("Ann", "Mira lives in Holmford."), ("Bob", "I do not know.")):
        started.append(one := Labelling(folder, reference, name))
        before = len(judged(folder))
        with tab(chromium, Seen()) as page:
            opened(page, one.address)
            for number in range(2):
                page.keyboard.press(f"Digit{at(page, best if number else 'Mira lives in Holmford.') + 1}")
                page.keyboard.press("=")
                until(lambda: len(judged(folder)) == before + number + 1)  # noqa: B023  asked before the loop goes on
                shows(page, f"{number + 1} of 5 judged")
        said = one.end()
    assert "| Ann and Bob | 2 | 6 | 0.50 | " in said
