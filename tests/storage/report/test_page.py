"""The page: one file that asks nobody, in which all that the store names is found, and nothing that a model wrote is markup."""

import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from storage.artifact import resolve
from storage.report import report
from storage.report.way import anchor, way_to
from storage.snapshot import Snapshot

from .conftest import ATTACKS, HOST, Shop, model

Made = dict[str, Snapshot]
EMPTY = {"meta", "link", "br", "path", "img", "rect"}


class Page(HTMLParser):
    """Tags, ids, addresses and text of a page; tags that do not close are `open` at its end."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if tag not in EMPTY:
            self.open.append(tag)
        for name, value in attributes:
            self.attributes.add(name)
            self.ids += [value or ""] if name == "id" else []
            self.addresses += [value or ""] if name in ("href", "src", "action", "data", "xlink:href") else []

    def handle_endtag(self, tag: str) -> None:
        if tag not in EMPTY:
            assert self.open, f"</{tag}> closes nothing"
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page(shop: Shop, snapshot: Snapshot) -> tuple[str, Page]:
    html = report(shop.store, snapshot)
    return html, Page(html)


@pytest.mark.parametrize("name", ["pretrain", "sft_first", "sft", "grpo"])
def test_a_model_anywhere_on_the_way_has_a_whole_page(shop: Shop, made: Made, name: str) -> None:
    html, found = page(shop, made[name])
    assert not found.open
    assert max(Counter(found.ids).values()) == 1
    assert {one[1:] for one in found.addresses if one.startswith("#")} <= set(found.ids), "every place that is named is there"
    assert html == report(shop.store, made[name]), "the same store, the same bytes"
    way = way_to(shop.store, made[name])
    for one in way.every:
        assert one.reference in found.text
        assert one.anchor in found.ids
        assert resolve(shop.store, one.reference).reference == one.reference


def test_the_page_asks_nobody_for_anything(shop: Shop, made: Made) -> None:
    html, found = page(shop, made["grpo"])
    assert all(one == "data:," or one.startswith("#") for one in found.addresses), found.addresses
    assert not found.tags.keys() & {"script", "img", "iframe", "object", "embed", "form", "video", "audio", "base"}
    assert not [name for name in found.attributes if name.startswith("on")]
    assert "default-src 'none'" in html
    style = html[html.index("<style>") : html.index("</style>")]
    assert not re.search(r"url\(|@import|@font-face", style)


def test_what_models_and_crawls_wrote_is_text(shop: Shop, made: Made) -> None:
    html, found = page(shop, made["pretrain"])
    assert "window.hacked" in found.text, "it is shown"
    assert "<b>few</b>" in found.text
    assert ATTACKS[0] not in html
    assert "\u202e" not in html
    assert "{{ 7*7 }}" in found.text, "no template is made of it"


def test_hosts_paths_and_addresses_are_not_given_away(shop: Shop, made: Made) -> None:
    html, _ = page(shop, made["grpo"])
    assert HOST not in html
    assert shop.store.url not in html
    assert "/secret/place" not in html


def test_what_there_is_is_said(shop: Shop, made: Made) -> None:
    _, found = page(shop, made["grpo"])
    for text in (
        "From crawl to weights", "Data funnel", "Held against the truth", "Scores before and after", "means over 3 seeds",
        "who is preferred", "what searching the corpus finds", "last words", "What is 2 + 5?", "6.00 CPU thread hours",
        "2.00 GPU hours", "cuda, 4 x 1 threads", "schedule.warmup", "torch 2.13.0", "1 values are NaN or infinite",
        "after is grpo; before is sft",
    ):  # fmt: skip
        assert text in re.sub(r"\s+", " ", found.text), text
    assert found.tags["svg"] > 8


def test_what_there_is_not_is_left_out(shop: Shop) -> None:
    alone = shop.add(shop.run("x"), "sft", model(), {"files": "file:00aa"})
    html, found = page(shop, alone)
    for text in ("Data funnel", "Trainings", "Scores", ">GPU hours<"):
        assert text not in html
    assert "From crawl to weights" in found.text
    assert not found.open


def test_an_artifact_that_is_gone_is_said_to_be(shop: Shop) -> None:
    tuned = shop.add(shop.run("x"), "sft", model(), {"model": "pretrain/0123456789ab@ba9876543210"})
    _, found = page(shop, tuned)
    assert "not in this store" in found.text
    assert "pretrain/0123456789ab@ba9876543210" in found.text


def test_what_was_tidied_away_is_left_out_and_counted(shop: Shop, made: Made) -> None:
    for name, file in (("pretrain", "metrics.parquet"), ("after", "scores.parquet"), ("grpo", "rollouts-00001.parquet")):
        shop.store.remove(f"{made[name].folder}/{file}")
    _, found = page(shop, made["grpo"])
    assert not found.open
    assert "last words" not in found.text, "the training has no curves left, and is not shown"
    assert "What is 2 + 5?" not in found.text
    assert "What is 2 + 0?" in found.text
    assert found.text.count("1 file gone") == 2, "of the way: a file of the base model, one of the aligned"
    assert anchor(made["after"].reference) not in found.ids
    assert anchor(made["between"].reference) in found.ids


def test_without_run_records_the_page_says_so(shop: Shop, made: Made) -> None:
    for name in shop.store.sizes("runs"):
        shop.store.remove(f"runs/{name}")
    _, found = page(shop, made["sft"])
    assert "No run record says how this was made" in found.text
    assert "not recorded" in found.text
