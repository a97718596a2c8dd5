"""Which pages the simulated web has: kinds with their share of the crawl, their sites, and what becomes of each.

Most pages are good English ones and are meant to be kept; every filter of the recipe has its own share of pages to drop.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise

from stages.simulation import encyclopedia, guides, languages, news, personal, school, talk
from stages.simulation.grammar import Pen
from stages.simulation.html import LOOKS, damage, render
from stages.simulation.junk import RULES, junk
from stages.simulation.page import Page, page
from stages.simulation.warc import Response
from stages.simulation.world import Person, World

Writer = Callable[[Pen, World, Person], Page]


@dataclass(frozen=True)
class Kind:
    """A kind of page: `share` of the crawl in per mille, who writes it, how its sites look, what drops it and by which rule."""

    name: str
    share: float
    writer: Writer
    look: str
    drop: str | None = None
    rule: str | None = None
    language: str | None = "en"
    broken: str = ""


@dataclass(frozen=True)
class Planned:
    """A page of the crawl with its truth; `page` is null where the response is no text."""

    kind: Kind
    response: Response
    page: Page | None
    cluster: int | None = None
    emails: tuple[str, ...] = field(default=())
    ips: tuple[str, ...] = field(default=())
    decoys: tuple[str, ...] = field(default=())


def missing(pen: Pen, world: World, person: Person) -> Page:
    return page("Not found", ["The page that you asked for is not here. It may have moved to another town."])


def town_page(writer: Callable[..., Page]) -> Writer:
    return lambda pen, world, person: writer(pen, world, person.town)


KEPT = (
    Kind("encyclopedia", 110, encyclopedia.person_entry, "wiki"),
    Kind("encyclopedia", 35, town_page(encyclopedia.town_entry), "wiki"),
    Kind("directory", 110, town_page(encyclopedia.who_is_who), "old"),
    Kind("news", 50, news.article, "paper"),
    Kind("diary", 20, personal.diary, "blog"),
    Kind("letter", 15, personal.letter, "blog"),
    Kind("tale", 15, personal.tale, "old"),
    Kind("forum", 35, talk.forum, "board"),
    Kind("interview", 28, talk.interview, "paper"),
    Kind("questions", 115, talk.questions, "wiki"),
    Kind("recipe", 12, guides.recipe, "blog"),
    Kind("howto", 10, guides.care, "blog"),
    Kind("howto", 10, guides.trade, "wiki"),
    Kind("travel", 12, guides.walk, "paper"),
    Kind("shop", 15, guides.shop, "store"),
    Kind("school", 25, school.sums, "old"),
    Kind("broken-unclosed", 10, news.article, "paper", broken="unclosed"),
    Kind("broken-charset", 10, personal.diary, "blog", broken="latin1"),
    Kind("broken-nul", 6, encyclopedia.person_entry, "wiki", broken="nul"),
)
HARD = (  # Good pages that a filter of the recipe takes for bad ones, now and then or always.
    Kind("worksheet", 3, school.worksheet, "old"),
    Kind("bilingual", 8, languages.bilingual, "blog"),
)
NO_TEXT = (
    Kind("image", 8, missing, "old", "records", "mime", language=None),
    Kind("pdf", 6, missing, "old", "records", "mime", language=None),
    Kind("not-found", 10, missing, "paper", "records", "status", language=None),
)
BANNED = tuple(
    Kind("banned", 8, news.article, "paper", "url", rule)
    for rule in ("domain", "subdomain", "hard_blacklisted", "soft_blacklisted", "blacklisted_subword")
)
FOREIGN = tuple(
    Kind("foreign", 11, partial(languages.foreign, language=code), "paper", "language", "language", code)
    for code in languages.SENTENCES
)
JUNK = tuple(
    Kind("junk", share, partial(junk, rule=rule), "blog", stage, rule)
    for rule, (stage, _) in RULES.items()
    for share in ({"gopher_repetition": 12, "gopher_quality": 8, "c4": 8, "fineweb": 10}[stage],)
)
KINDS = KEPT + HARD + NO_TEXT + BANNED + FOREIGN + JUNK
COPIES = 50
"""Per mille of the crawl that are copies of kept pages."""
RETOLD = 15
"""Per mille that share half of their text with another page and yet are to be kept: Jaccard about .3."""

TOTAL = sum(kind.share for kind in KINDS) + COPIES + RETOLD

# Hosts of datatrove's domain list and words of its word lists; the harmless ones among them.
BANNED_HOSTS = {
    "domain": ("bingohall.com", "card-games.com", "bingotown.net", "www.bingodom.net"),
    "subdomain": ("adayatthegames.blogspot.com", "casino--hoteli7.blogspot.com"),
}
BANNED_PATHS = {
    "hard_blacklisted": ("viagra", "xxx", "cialis-offers", "nsfw", "Viagra"),
    "soft_blacklisted": ("escort-lingerie", "naked-webcam", "lingerie/escort"),
    "blacklisted_subword": ("escortservice", "hot-chat-room", "chatline-with-hotchat"),
}
IMAGE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8ffff3f0005fe02fea7359f810000000049454e44ae426082"
)
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
MIMES = {"image": ("image/png", IMAGE, "png"), "pdf": ("application/pdf", PDF, "pdf")}


def slug(text: str) -> str:
    return "-".join(re.findall(r"[a-z0-9]+", text.lower()))[:60].strip("-") or "page"


def address(kind: Kind, world: World, title: str, number: int, rng: random.Random) -> str:
    """A URL that no other page has: the page's number is in it."""
    place = slug(rng.choice(world.towns).name)
    prefix = {"wiki": "wiki", "paper": "post", "blog": "notes", "board": "talk", "store": "shop", "old": "pages"}[kind.look]
    host = rng.choice([f"{prefix}.{place}.example", f"www.{place}-{prefix}.example", f"{place}{prefix}.example"])
    path = f"{slug(title)}-{number}"
    if kind.drop == "url" and kind.rule is not None:
        host = rng.choice(BANNED_HOSTS.get(kind.rule, (host,)))
        path = f"{rng.choice(BANNED_PATHS[kind.rule])}/{path}" if kind.rule in BANNED_PATHS else path
    if kind.name in MIMES:
        path += f".{MIMES[kind.name][2]}"
    return f"{rng.choice(('https', 'https', 'http'))}://{host}/{path}"


def planned(kind: Kind, text: Page, world: World, number: int, rng: random.Random) -> Planned:
    """The page with its address and its bytes."""
    url = address(kind, world, text.title, number, rng)
    if kind.name in MIMES:
        mime, body, _ = MIMES[kind.name]
        return Planned(kind, Response(url, body, mime, None), None)
    host = url.split("/")[2]
    see = [f"{rng.choice(world.people).name} of {rng.choice(world.towns).name}" for _ in range(5)]
    body = damage(render(text, kind.look, host, kind.language or "en", rng, see), kind.broken, rng)
    charset = None if rng.random() < 0.2 else "utf-8"
    response = Response(url, body, charset=charset, status=404 if kind.name == "not-found" else 200)
    return Planned(kind, response, None if kind.language is None else text)


def counts(pages: int) -> list[int]:
    """How many pages of each of KINDS, then how many retold ones and copies: shares of `pages`, rounded so that they add up to it."""
    edges, total = [0], 0.0
    for share in (*(kind.share for kind in KINDS), RETOLD, COPIES):
        total += share
        edges.append(round(pages * total / TOTAL))
    return [b - a for a, b in pairwise(edges)]


def restyled(original: Planned, text: Page, world: World, number: int, rng: random.Random, rule: str) -> Planned:
    """A copy of a page on another site, which looks otherwise."""
    look = rng.choice([name for name in LOOKS if name != "board"]) if original.kind.look != "board" else "board"
    kind = replace(original.kind, look=look, drop="dedup", rule=rule, broken="")
    return replace(original, kind=kind, page=text, response=planned(kind, text, world, number, rng).response)
