"""The chat page in a real browser: streaming, stop and retry, thoughts and tools, tokens, two models, a key, and words that attack."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from models.chat.tools.tool import Tool
from models.serve.served import Served
from models.tokenizer import bytelevel
from models.tokenizer.load import made
from models.tokenizer.reserved import PYTHON, PYTHON_END, RESULT_END, SEPARATOR, THINK, THINK_END, TURN_END
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.transformer import Transformer
from tests.browser.chromium import Seen, tab
from tests.browser.test_viewer import CONTRAST
from tests.models.serve.server import TEXTS, running, served, until, walks

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.slow
ATTACK = "<img src=/x onerror=window.hacked=1>"
TOOL = Tool("python", "expression", "computes", lambda text: f"{text}! <script>window.hacked=1</script>{ATTACK}")


def tokenizer() -> Tokenizer:
    """One that has the attack as a token."""
    return made(bytelevel.train([*TEXTS, *[ATTACK] * 60], 345))


def caller(tokens: Tokenizer) -> Transformer:
    """Thinks, calls python, answers; each of the three is an attack."""
    first = [SEPARATOR, THINK, "moon", THINK_END, PYTHON, "<img", PYTHON_END]
    return walks(tokens, first, [RESULT_END, "Hello", " there", ">", TURN_END])


@contextmanager
def opened(
    chromium: "Browser", models: Sequence[Served], key: str | None = None, **options: Any
) -> Iterator[tuple["Page", Seen]]:
    """The page, from which nothing was asked elsewhere, and in which no script of another's ran."""
    with running(models, key=key) as address, tab(chromium, seen := Seen(), **options) as page:
        page.goto(f"{address}/")
        if key is None:
            page.locator("#left option").first.wait_for(state="attached")
        yield page, seen
        assert seen.beyond(address) == []
        assert (seen.violations, seen.dialogs) == ([], [])
        assert page.evaluate("window.hacked") is None
        assert page.locator("main img, main script").count() == 0


def say(page: "Page", text: str) -> None:
    page.locator("#text").fill(text)
    page.keyboard.press("Enter")


def answered(page: "Page") -> "Locator":
    """The last answer, when it is whole."""
    page.locator("#stop").wait_for(state="hidden")
    return page.locator(".turn.assistant").last


def texts(page: "Page", where: str) -> list[str]:
    return [str(one) for one in page.locator(where).all_text_contents()]


def test_thoughts_and_tools_are_folded_and_whatever_is_written_stays_text(chromium: "Browser") -> None:
    tokens = tokenizer()
    with opened(chromium, [served("caller", tokens, caller(tokens), [TOOL])]) as (page, _):
        page.locator("#settings summary").click()
        page.locator("#temperature").fill("0")
        page.locator("#system").fill(ATTACK)
        say(page, f"What is it? {ATTACK}")
        last = answered(page)
        assert last.locator(".said").all_text_contents() == ["Hello there>"]
        assert texts(page, ".turn.user .said") == [f"What is it? {ATTACK}"]
        thought, tool = last.locator("details").all()
        assert (thought.get_attribute("open"), tool.get_attribute("open")) == (None, None)
        assert thought.locator(".inside").text_content() == "moon"
        assert tool.locator(".inside").text_content() == "<img"
        assert tool.locator(".came").text_content() == TOOL.run("<img")
        thought.locator("summary").click()
        assert last.get_by_text("moon", exact=True).is_visible()
        say(page, "Again?")
        until(lambda: page.locator(".turn.assistant").count() == 2)
        assert answered(page).locator(".said").text_content() == "Hello there>", "the turn with its call went back to the server"
        assert page.locator(".wrong").count() == 0

        page.get_by_label("Tool python").uncheck()
        say(page, "And now?")
        until(lambda: page.locator(".turn.assistant").count() == 3)
        assert "there is no tool python" in str(answered(page).locator(".came").text_content())
        page.get_by_role("button", name="New chat").click()
        assert page.locator(".turn").count() == 0


def test_tokens_are_shown_with_what_else_might_have_come(chromium: "Browser") -> None:
    tokens = tokenizer()
    with opened(chromium, [served("caller", tokens, caller(tokens), [TOOL])]) as (page, _):
        page.locator("#settings summary").click()
        page.locator("#temperature").fill("0")
        say(page, "What is it?")
        last = answered(page)
        assert not last.locator(".tokens").is_visible()
        page.get_by_label("Show tokens").check()
        assert last.locator(".t").first.text_content() == THINK
        assert last.locator(".t").last.text_content() == TURN_END
        first = tokens.encode("Hello")[0]
        last.locator(".t").get_by_text(tokens.decode([first]), exact=True).click()
        rows = last.locator(".about tr").all()
        assert len(rows) == 5
        chosen = last.locator(".about .chosen td").all_text_contents()
        assert (chosen[0], chosen[2]) == (f'"{tokens.decode([first])}"', str(first))
        assert all("%" in str(row.text_content()) for row in rows)


def test_an_answer_is_streamed_stopped_and_tried_again(chromium: "Browser") -> None:
    tokens = tokenizer()
    endless = walks(tokens, [SEPARATOR, "the", " owl"], endless=True, context=20_000)
    model = served("endless", tokens, endless)
    with opened(chromium, [model]) as (page, _):
        page.locator("#settings summary").click()
        page.locator("#temperature").fill("0")
        say(page, "What is it?")
        said = page.locator(".said").last
        until(lambda: "owlthe" in str(said.text_content()) or "the owl" in str(said.text_content()))
        before = len(str(said.text_content()))
        until(lambda: len(str(said.text_content())) > before)
        page.get_by_role("button", name="Stop").click()
        last = answered(page)
        assert str(last.locator(".foot").text_content()).startswith("stopped")
        until(lambda: model.batch.load == (0, 0))
        page.locator("#max_tokens").fill("3")
        page.get_by_role("button", name="Retry").click()
        until(lambda: "cut off" in str(page.locator(".turn.assistant .foot").last.text_content()))
        assert page.locator(".turn").count() == 2, "the first try has given way"
        assert len(str(page.locator(".said").last.text_content())) < 20


def test_two_models_answer_beside_each_other(chromium: "Browser") -> None:
    tokens = tokenizer()
    other = walks(tokens, [SEPARATOR, "moon", TURN_END])
    models = [served("caller", tokens, caller(tokens), [TOOL]), served("other", tokens, other)]
    with opened(chromium, models) as (page, _):
        page.get_by_label("Two side by side").check()
        page.locator("#settings summary").click()
        page.locator("#temperature").fill("0")
        say(page, "What is it?")
        answered(page)
        panes = page.locator(".pane").all()
        assert [pane.locator("h2").text_content() for pane in panes] == ["caller", "other"]
        assert [pane.locator(".turn.assistant .said").text_content() for pane in panes] == ["Hello there>", "moon"]
        boxes = [pane.bounding_box() for pane in panes]
        assert boxes[0] is not None
        assert boxes[1] is not None
        assert boxes[0]["y"] == boxes[1]["y"]
        assert boxes[0]["x"] < boxes[1]["x"]


def test_a_key_is_asked_for_and_a_refusal_is_told(chromium: "Browser") -> None:
    tokens = tokenizer()
    short = served("short", tokens, walks(tokens, [SEPARATOR, "moon", TURN_END], context=40))
    with opened(chromium, [short], key="secret") as (page, _):
        page.get_by_text("This server asks for a key.").wait_for()
        for key, seen in (("wrong", "The one that was given is wrong."), ("secret", "")):
            page.locator("#key").fill(key)
            page.locator("#key").press("Tab")
            page.wait_for_function("text => text ? note.textContent.includes(text) : !note.textContent", arg=seen)
        page.locator("#left option").first.wait_for(state="attached")  # before that nobody is there to answer
        say(page, "The owl sees the moon. " * 20)
        assert "context is 40 tokens" in str(answered(page).locator(".wrong").first.text_content())
        page.reload()
        page.locator("#left option").first.wait_for(state="attached")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_every_text_stands_out_and_nothing_is_wider_than_the_page(chromium: "Browser", scheme: str, width: int) -> None:
    tokens = tokenizer()
    models = [served(name, tokens, caller(tokens), [TOOL]) for name in ("one", "two")]
    with opened(chromium, models, color_scheme=scheme) as (page, _):
        page.set_viewport_size({"width": width, "height": 800})
        page.locator("#settings summary").click()
        page.locator("#temperature").fill("0")
        page.get_by_label("Show tokens").check()
        page.get_by_label("Two side by side").check()
        say(page, "What is it? " + "x" * 300)
        last = answered(page)
        for summary in last.locator("details summary").all():
            summary.click()
        last.locator(".t").nth(-2).click()
        least, text = page.evaluate(CONTRAST)
        assert least >= 4.5, text
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for pane in page.locator(".pane").all():
            assert pane.evaluate("one => one.scrollWidth <= one.clientWidth")
