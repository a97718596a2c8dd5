"""Pages that repeat themselves or do not look like prose: what the two Gopher filters are for. See junk.py."""

from __future__ import annotations

import re

from stages.simulation.encyclopedia import LIFE_IN_TOWN
from stages.simulation.grammar import Pen
from stages.simulation.page import Page, page, paragraphs
from stages.simulation.personal import MOODS
from stages.simulation.phrases import landscape, portrait, slots, town_slots
from stages.simulation.world import FOODS, GOODS, JOBS, PETS, Person, World


def prose(pen: Pen, world: World, person: Person, sentences: int) -> list[str]:
    """That many clean sentences about this and that."""
    out = [*portrait(pen, person, min(sentences, 6)), *landscape(pen, person.town, 3)]
    while len(out) < sentences:
        out.append(pen.say(MOODS) if pen.chance(0.5) else pen.say(LIFE_IN_TOWN, town_slots(pen, person.town)))
    return out[:sentences]


def repeated_paragraphs(pen: Pen, world: World, person: Person) -> Page:
    parts = paragraphs(pen.rng, prose(pen, world, person, 9), 2, 3)[:3]
    return page(f"All about {person.name}", parts * pen.rng.randint(2, 3))


def repeated_lines(pen: Pen, world: World, person: Person) -> Page:
    offer = pen.fill("Order your {good} from {town} today and save <count> coins!", slots(pen, person))
    lines = prose(pen, world, person, 10)
    for _ in range(10):
        lines.insert(pen.rng.randrange(len(lines)), offer)
    return page(f"{person.town.good.capitalize()} on sale", [("p", "\n".join(lines))])


def keyword_spam(pen: Pen, world: World, person: Person) -> Page:
    key = f"cheap {person.town.good}"
    words = [pen.rng.choice(GOODS + FOODS) for _ in range(22)]
    text = " ".join(f"{key} {key} and the best {word}, {key} to buy with {key}." for word in words)
    return page(f"Cheap {person.town.good}", [text])


def phrase_spam(pen: Pen, world: World, person: Person) -> Page:
    claim = pen.fill("the [best|finest] {good} in all of {town} at the lowest price of the <season>", slots(pen, person))
    claim = claim[0].lower() + claim[1:]
    openers = (
        "Our shop has",
        "Come and see",
        "Do not miss",
        "Ask a friend about",
        "Nobody but us sells",
        "We have",
        "Tell everyone of",
    )
    lines = []
    for line in prose(pen, world, person, 14):
        lines += [line, f"{pen.say(openers)} {claim}."]
    return page(f"{person.town.name}: {person.town.good}", paragraphs(pen.rng, lines, 6, 9))


def short(pen: Pen, world: World, person: Person) -> Page:
    """Too few words, but not so few that one phrase is a large part of them."""
    stock = (
        "This page has moved to another address.", "More about {n} will follow in <month>.", "Sorry, there is nothing to see here yet.", "The photo of {n} and the {pet} is missing.",
        "Please come back on <day> or later.", "The old version was lost in the <weather>.", "We are still looking for somebody who remembers.",
    )  # fmt: skip
    out: list[str] = []
    words = pen.rng.choice((36, 36, 36, 36, 36, 36, 36, 36, 36, 46))  # the longest pass the limit of 50
    while len(" ".join(out).split()) < words:
        out.append(pen.say(stock, slots(pen, person)))
    return page(person.name, [" ".join(out)])


def long_words(pen: Pen, world: World, person: Person) -> Page:
    adjectives = [
        "intergovernmental",
        "characteristically",
        "industrialised",
        "incomprehensible",
        "straightforwardly",
        "counterproductive",
        "interdepartmental",
        "uncharacteristic",
    ]
    nouns = [
        "administration",
        "responsibilities",
        "representatives",
        "commercialisation",
        "recommendations",
        "misunderstandings",
        "infrastructure",
        "implementation",
        "documentation",
    ]
    verbs = [
        "demonstrates",
        "underestimates",
        "institutionalises",
        "overemphasises",
        "misrepresents",
        "acknowledges",
        "reconstructs",
    ]
    links = ["notwithstanding", "throughout", "approximately", "consequently", "nevertheless"]

    def sentence() -> str:
        r = pen.rng.choice
        return f"The {r(adjectives)} {r(nouns)} of {r(nouns)} {r(verbs)} {r(links)} {r(adjectives)} {r(nouns)} and {r(adjectives)} {r(nouns)}."

    return page("Administration and documentation", paragraphs(pen.rng, [sentence() for _ in range(12)], 3, 4))


def hashtags(pen: Pen, world: World, person: Person) -> Page:
    lines = []
    for line in prose(pen, world, person, 8):
        lines.append(f"{line} " + " ".join(f"#{word}" for word in pen.rng.sample(FOODS + GOODS + PETS, 4)))
    return page(f"Posts of {person.name}", lines)


def ellipses(pen: Pen, world: World, person: Person) -> Page:
    def broken(sentence: str) -> str:
        return re.sub(r" (?=\w+ \w+ \w)", lambda gap: "... " if pen.chance(0.35) else gap.group(), sentence)

    return page(f"Thoughts of {person.name}", paragraphs(pen.rng, [broken(s) for s in prose(pen, world, person, 16)], 3, 4))


def bullets(pen: Pen, world: World, person: Person) -> Page:
    mark = pen.rng.choice("•-")
    things = (
        "[a|one] <size> <colour> <thing> [for|from] the <place>", "[the|a] <thing> that {n} [left|forgot|saw] at the <place>", "<count> [pounds|plates|jars] of {f}", "[straw|water|a bed] for the {a}",
        "<few> maps [of|with all roads to] {t}", "something <colour> [to wear|to hold] in the <weather>", "[a letter|<few> letters] to my <kin>", "some {g} [from|made in] {t}", "{f} and {f2} for <meal>",
    )  # fmt: skip
    lines = []
    for _ in range(60):
        some = {
            "f": pen.rng.choice(FOODS),
            "f2": pen.rng.choice(FOODS),
            "g": pen.rng.choice(GOODS),
            "a": pen.rng.choice(PETS),
            "t": pen.rng.choice(world.towns).name,
            "n": pen.rng.choice(world.people).name,
        }
        lines.append(f"{mark} {pen.fill(pen.rng.choice(things), some)}")
    return page(f"Packing list of {person.name}", [("p", "\n".join(lines))])


def teasers(pen: Pen, world: World, person: Person) -> Page:
    lines = [sentence.rstrip(".!?") + "..." for sentence in prose(pen, world, person, 14)]
    return page(f"Latest from {person.town.name}", lines)


def numbers(pen: Pen, world: World, person: Person) -> Page:
    r = pen.rng
    lines = ["The table shows how many things were sold in the market with the price of each in coins."]
    for good in r.sample(GOODS + FOODS, 24):
        lines.append(
            f"The {good} of the {r.choice(JOBS)} {r.randint(10, 999)} {r.randint(1000, 9999)} {r.randint(10, 99)}.{r.randint(0, 9)} {r.randint(100, 999)} / {r.randint(2, 60)}"
        )
    return page(f"PRICES IN {person.town.name.upper()}", [("p", "\n".join(lines))])


def no_stop_words(pen: Pen, world: World, person: Person) -> Page:
    r = pen.rng
    shapes = (
        "Buy {a} {b} here while prices are low.", "Our {c} loves {a} {b} from this shop.", "See photos showing {a} {b} in large sizes.", "New {b} arrived this week, also {a} {d}.",
        "Ask for our {a} range when you call us today.", "{b} or {d}: your choice, free returns.", "Why not try {a} {d} instead?", "Wide choice in {a} {b}, small sizes on request.",
        "Fast shipping for all {a} {b} this month.", "Gift cards for any {c} you know.", "Top quality {d}, made by hand in our own yard.", "Reviews by {c} customers show how good our {b} is.",
        "Perfect for your {c}: {a} {d} in three sizes.", "More {d} than any other shop, more {a} {b} too.", "Every {c} needs {a} {b}, so order now.", "Prices for {d} are falling again, hurry up!",
    )  # fmt: skip
    colours = ["red", "blue", "green", "white", "yellow", "grey", "brown", "black", "silver", "golden", "pale", "dark"]

    def line() -> str:
        words = {"a": r.choice(colours), "b": r.choice(GOODS + FOODS), "c": r.choice(JOBS), "d": r.choice(GOODS + FOODS)}
        return pen.say(shapes, words)

    return page(f"{person.town.good.capitalize()} shop online", paragraphs(r, [line() for _ in range(15)], 2, 3))
