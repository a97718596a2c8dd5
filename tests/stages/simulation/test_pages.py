"""The planted pages against the filters, on the main text as it was planted."""

import random
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import polars as pl
import pytest

from stages.corpus.c4 import C4
from stages.corpus.fineweb import FINEWEB
from stages.corpus.gopher_quality import GOPHER_QUALITY
from stages.corpus.gopher_repetition import GOPHER_REPETITION
from stages.corpus.language import default_model, scores
from stages.simulation.grammar import Pen
from stages.simulation.html import LOOKS, damage, render
from stages.simulation.junk import RULES
from stages.simulation.languages import SENTENCES, foreign
from stages.simulation.page import Page, page
from stages.simulation.pages import KEPT, KINDS, NO_TEXT, counts
from stages.simulation.world import World, build

FILTERS = (GOPHER_REPETITION, GOPHER_QUALITY, C4, FINEWEB)


@lru_cache
def world() -> World:
    return build(5)


def written(writer: Callable[..., Page], number: int, *more: str) -> str:
    return writer(Pen(random.Random(f"test {number}")), world(), world().people[number], *more).text


def verdict(text: str) -> tuple[str | None, str | None]:
    """(stage, rule) of the first filter that drops the text."""
    docs = pl.DataFrame({"text": [text]})
    for stage in FILTERS:
        docs = stage.run(docs, stage.config(), {})
        if docs["reason"][0] is not None:
            return stage.name, docs["reason"][0]
        docs = docs.select("text")
    return None, None


@pytest.mark.parametrize("rule", RULES)
def test_a_junk_page_breaks_its_rule_and_none_before_it(rule: str) -> None:
    stage, writer = RULES[rule]
    named = {"javascript": "too_few_sentences", "policy": "too_few_sentences"}.get(rule, rule)
    verdicts = [verdict(written(writer, number)) for number in range(6)]
    assert verdicts.count((stage, named)) >= 5, verdicts


@pytest.mark.parametrize("kind", KEPT, ids=lambda kind: f"{kind.name}-{kind.look}")
def test_a_good_page_passes_every_filter(kind: Any) -> None:
    texts = [written(kind.writer, number) for number in range(4)]
    assert [verdict(text) for text in texts] == [(None, None)] * 4
    assert all(80 <= len(text.split()) <= 900 for text in texts)


@pytest.mark.parametrize("language", SENTENCES)
def test_a_foreign_page_is_recognised(language: str) -> None:
    found = [scores(written(foreign, number, language).replace("\n", " "), default_model()) for number in range(4)]
    assert all(max(score, key=score.__getitem__) == language and score.get("en", 0) < 0.3 for score in found)


@pytest.mark.parametrize("kind", KEPT, ids=lambda kind: f"{kind.name}-{kind.look}")
def test_a_good_page_is_english(kind: Any) -> None:
    assert all(scores(written(kind.writer, n).replace("\n", " "), default_model()).get("en", 0) > 0.65 for n in range(3))


@pytest.mark.parametrize("pages", [20, 333, 3000])
def test_the_kinds_add_up_to_the_crawl(pages: int) -> None:
    assert sum(counts(pages)) == pages
    if pages == 3000:
        kept = sum(count for count, kind in zip(counts(pages), KINDS, strict=False) if kind.drop is None)
        assert all(counts(pages))
        assert 0.55 <= kept / pages <= 0.62


@pytest.mark.parametrize("look", LOOKS)
def test_html_is_escaped_in_every_look(look: str) -> None:
    text = page("a < b & c", ["x <script> y", ("post", "me\n1 < 2")])
    html = render(text, look, "a.example", "en", random.Random(1), ["See this"])
    assert "a &lt; b &amp; c" in html
    assert "x &lt;script&gt; y" in html
    assert "1 &lt; 2" in html
    assert "x <script>" not in html


def test_damage_is_what_it_says() -> None:
    html = render(
        page("T", ["The café is open today, said the man at the door."]), "paper", "a.example", "en", random.Random(1), []
    )
    assert damage(html, "", random.Random(1)) == html.encode()
    assert b"caf\xe9" in damage(html, "latin1", random.Random(1))
    assert b"\0" in damage(html, "nul", random.Random(1))
    assert b"</p>" not in damage(html, "unclosed", random.Random(1))


def test_what_is_no_page_has_no_language() -> None:
    assert all(kind.language is None and kind.drop == "records" for kind in NO_TEXT)
