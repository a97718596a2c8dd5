"""The whole simulated crawl as a list of planned pages: good ones, junk, copies and personal data, in the order of the crawl."""

from __future__ import annotations

import random
from dataclasses import replace

from stages.simulation.contacts import contacts
from stages.simulation.copies import exact, near_copy, shortened
from stages.simulation.grammar import Pen
from stages.simulation.page import Page
from stages.simulation.pages import KINDS, Kind, Planned, counts, planned, restyled
from stages.simulation.world import Person, World

CONTACT_SHARE = 0.1
"""Share of the kept pages that carry personal data."""
ACCENTS = "The café near the bridge sells crème brûlée, and its owner, a man called José, plays the piano."


def plan(world: World, seed: int, pages: int) -> list[Planned]:
    """`pages` pages of this world. Every page has its own random numbers, and people take turns as the subject."""
    *amounts, again, copies = counts(pages)
    kinds = [kind for kind, amount in zip(KINDS, amounts, strict=True) for _ in range(amount)]
    out = [draw(kind, world, number, seed) for number, kind in enumerate(kinds)]
    out += retold(out, world, seed, again)
    out += copied(out, world, seed, copies)
    random.Random(f"{seed} order").shuffle(out)
    return out


def draw(kind: Kind, world: World, number: int, seed: int) -> Planned:
    rng = random.Random(f"{seed} page {number}")
    pen = Pen(rng)
    person = world.people[number % len(world.people)]
    page = kind.writer(pen, world, person)
    if kind.broken == "latin1":
        page = Page(page.title, (*page.blocks[:1], ("p", ACCENTS), *page.blocks[1:]))
    if kind.drop is None and not kind.broken and rng.random() < CONTACT_SHARE:
        return with_contacts(kind, page, world, person, number, pen)
    return planned(kind, page, world, number, rng)


def with_contacts(kind: Kind, page: Page, world: World, person: Person, number: int, pen: Pen) -> Planned:
    """The page with sentences that hold personal data, at the end of one of its longer paragraphs."""
    sentences, emails, ips, decoys = contacts(pen, person)
    at = max(range(len(page.blocks)), key=lambda i: len(page.blocks[i][1]))
    tag, text = page.blocks[at]
    blocks = (*page.blocks[:at], (tag, " ".join([text, *sentences])), *page.blocks[at + 1 :])
    made = planned(kind, Page(page.title, blocks), world, number, pen.rng)
    return replace(made, emails=tuple(emails), ips=tuple(ips), decoys=tuple(decoys))


def retold(originals: list[Planned], world: World, seed: int, count: int) -> list[Planned]:
    """`count` pages that begin like one kept page and go on like another."""
    rng = random.Random(f"{seed} retold")
    sources = [
        (made.kind, made.page)
        for made in originals
        if made.kind.drop is None and made.page and not made.emails + made.ips + made.decoys
    ]
    out = []
    for number in range(count):
        (kind, first), (_, second) = rng.sample(sources, 2)
        page = Page(first.title, first.blocks[: len(first.blocks) // 2] + second.blocks[len(second.blocks) // 2 :])
        out.append(planned(replace(kind, name="retold", broken=""), page, world, len(originals) + number, rng))
    return out


def copied(originals: list[Planned], world: World, seed: int, count: int) -> list[Planned]:
    """`count` copies of kept pages, in clusters of two to five; marks the originals in `originals` with their cluster."""
    rng = random.Random(f"{seed} copies")
    order = [i for i, made in enumerate(originals) if made.kind.drop is None and not made.kind.broken]
    rng.shuffle(order)
    out: list[Planned] = []
    for cluster, index in enumerate(order):
        if len(out) >= count:
            break
        original = replace(originals[index], cluster=cluster)
        originals[index] = original
        assert original.page is not None
        for _ in range(min(rng.choice((1, 1, 1, 2, 2, 4)), count - len(out))):
            rule = rng.choices(("exact", "near", "shortened"), (0.3, 0.55, 0.15))[0]
            text = {"exact": exact, "near": near_copy, "shortened": shortened}[rule](original.page, rng)
            made = restyled(original, text, world, len(originals) + len(out), rng, rule)
            left = [
                tuple(item for item in items if item in text.text) for items in (original.emails, original.ips, original.decoys)
            ]
            out.append(replace(made, emails=left[0], ips=left[1], decoys=left[2]))
    return out
