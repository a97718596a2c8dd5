"""Pages of code, placeholders, notices, headlines, verses and lists: what the C4 and FineWeb filters are for. See junk.py."""

from __future__ import annotations

from stages.simulation import news
from stages.simulation.grammar import Pen
from stages.simulation.page import Block, Page, page, paragraphs
from stages.simulation.phrases import JOINT, PERSON, slots
from stages.simulation.spam import prose
from stages.simulation.world import FOODS, GOODS, JOBS, PETS, Person, World


def code(pen: Pen, world: World, person: Person) -> Page:
    name = person.name.lower()
    source = f"function feed_{name}(coins) {{\n  if (coins > {pen.rng.randint(2, 90)}) {{ return '{person.food}'; }}\n  return 'nothing';\n}}"
    text = paragraphs(pen.rng, prose(pen, world, person, 18), 3, 4)
    note = "The small program below was written for the school of the town, and it decides what the animal gets to eat."
    return page(f"A program for {person.name}", [*text[:2], note, ("pre", source), *text[2:]])


def lorem(pen: Pen, world: World, person: Person) -> Page:
    filler = "Lorem ipsum dolor sit amet, consectetur adipiscing elit."
    text = paragraphs(pen.rng, prose(pen, world, person, 14), 3, 4)
    return page(f"{person.town.name} for visitors", [*text[:1], filler, *text[1:]])


def run_on(pen: Pen, world: World, person: Person) -> Page:
    """Two hundred words without a full stop."""
    parts = [s.rstrip(".!?").replace("? ", ", ") for s in prose(pen, world, person, 15)]
    links = (
        ", and ",
        ", while ",
        ", but then ",
        ", so ",
        ", because, as they say, ",
        "; ",
        " - ",
        ", which is odd, for ",
        ", and yet ",
        ", or so I heard, and ",
    )
    text = parts[0]
    for part in parts[1:]:
        text += pen.rng.choice(links) + (
            part[0].lower() + part[1:]
            if part.split()[0] in ("He", "She", "The", "It", "At", "In", "His", "Her", "When", "Every")
            else part
        )
    return page("Memories", [text + "."])


def javascript(pen: Pen, world: World, person: Person) -> Page:
    stock = (
        "Please enable JavaScript in your browser to read this article about {n}.", "This page needs JavaScript to show the map of {town}.",
        "Without JavaScript the pictures of {n} and of the {pet} can not be loaded.", "You see this text because JavaScript is turned off or blocked by your system.",
        "To turn on JavaScript, open the settings of your browser and then load the page again.", "Some parts of the site work only with JavaScript and a modern browser.",
        "If JavaScript is already on, the problem may be with your network, so try again later.",
    )  # fmt: skip
    return page(person.name, [pen.say(stock, slots(pen, person)) for _ in range(7)])


def cookie_wall(pen: Pen, world: World, person: Person) -> Page:
    stock = (
        "This website uses cookies to give you the best service that we have to offer.", "Read our cookie policy to find out what is stored and for how long.",
        "By going on you agree to the use of cookies by us and by our partners.", "We and the {good} traders of {town} use cookies to count our visitors.",
        "You can change your mind at any time, as the privacy policy explains in detail.", "The terms of use say what you may do with the text and the pictures.",
        "Our partners use cookies to show you offers that may interest you.",
    )  # fmt: skip
    return page("Before you go on", [pen.say(stock, slots(pen, person)) for _ in range(7)])


def headlines(pen: Pen, world: World, person: Person) -> Page:
    lines = []
    for number, who in enumerate(pen.rng.sample(world.people, 30)):
        event = pen.rng.choice(news.EVENTS)
        statement = pen.say((event.leads, JOINT, *PERSON.values())[number % 6], slots(pen, who))
        lines.append(statement.rstrip(".!?"))
    return page(pen.fill("Archive of <month>"), lines)


def poem(pen: Pen, world: World, person: Person) -> Page:
    shapes = (
        "[O|My|The] {a} {w},", "and [all|still] the {v} is {a}", "[I hear|I see|We know] {w} and {v},", "[where|how|why] did the {v} go?", "[it|she|he] went with the {w}",
        "[sing|bring|give] me a {a} {v},", "the [night|moon|wind] is {a}", "like [a|the] {a} {w},", "[come|stay|rest], {w}, in {t}", "[so|and] we {x} and {y},", "to {x} with the {v}",
        "[never|always] {a}, never {b}.", "{w}, {v} and {a} rain", "[how|that] you {x} at [dawn|noon]", "until the {w} can {y}.", "of {w} [we|they] {x},",
    )  # fmt: skip
    adjectives = [
        "old",
        "pale",
        "soft",
        "wild",
        "lost",
        "blue",
        "cold",
        "slow",
        "deep",
        "grey",
        "thin",
        "sweet",
        "green",
        "high",
        "far",
        "warm",
    ]
    verbs = ["sing", "fall", "wait", "rise", "turn", "sleep", "call", "burn", "shine", "walk", "sink", "dance", "fade", "wake"]
    nouns = [word for word in GOODS + FOODS + PETS if len(word) <= 6]
    lines = []
    for _ in range(44):
        r = pen.rng
        words = {
            "w": r.choice(nouns),
            "v": r.choice(nouns),
            "a": r.choice(adjectives),
            "b": r.choice(adjectives),
            "x": r.choice(verbs),
            "y": r.choice(verbs),
            "t": person.town.name,
        }
        lines.append(pen.fill(r.choice(shapes), words))
    return page("Verses", [("p", "\n".join(lines))])


def shared_lines(pen: Pen, world: World, person: Person) -> Page:
    share = "Share this story with a friend."
    lines: list[Block | str] = []
    for number, part in enumerate(paragraphs(pen.rng, prose(pen, world, person, 22), 2, 2)):
        lines.append(part)
        if number % 4 == 1:
            lines.append(share)
    return page(f"{person.name} and the others", [*lines, pen.say(JOINT, slots(pen, person))])


def directory(pen: Pen, world: World, person: Person) -> Page:
    """Three words a line, more than a third of the lines long, every fifth with a full stop: too many lines for so few words."""
    r = pen.rng
    long = [
        "Administrative",
        "Correspondence",
        "Representative",
        "Investigations",
        "Transportation",
        "Communications",
        "Infrastructure",
        "Entertainment",
        "Agricultural",
        "Constitutional",
    ]
    lines = []
    for number in range(54):
        if number % 5 in (0, 2):
            line = f"{r.choice(long)} {r.choice(long)} {r.choice(['Desk', 'Hall', 'Room', 'Team', 'Fund'])}"
        else:
            line = f"{r.choice(['Head', 'Office', 'Hall', 'Keys', 'Lord', 'Book', 'House'])} {r.choice(['of', 'with', 'and'])} {r.choice(GOODS + FOODS + PETS + JOBS)}"
        lines.append(line + ("." if number % 5 == 1 else ""))
    return page("Rooms", [("p", "\n".join(dict.fromkeys(lines)))])
