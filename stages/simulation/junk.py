"""Pages that a filter exists for. Each writer breaks one rule of the recipe, and none of the rules that are asked before it.

RULES maps a rule (datatrove's name for it) to its stage and writer. The texts are harmless; what is wrong with them is their form.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from stages.simulation import news
from stages.simulation.encyclopedia import LIFE_IN_TOWN
from stages.simulation.grammar import Pen
from stages.simulation.page import Block, Page, page, paragraphs
from stages.simulation.personal import MOODS
from stages.simulation.phrases import JOINT, PERSON, landscape, portrait, slots, town_slots
from stages.simulation.world import FOODS, GOODS, JOBS, PETS, Person, World

Writer = Callable[[Pen, World, Person], Page]


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
    openers = ("Our shop has", "Come and see", "Do not miss", "Ask a friend about", "Nobody but us sells", "We have", "Tell everyone of")
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
    while len(" ".join(out).split()) < 36:
        out.append(pen.say(stock, slots(pen, person)))
    return page(person.name, [" ".join(out)])


def long_words(pen: Pen, world: World, person: Person) -> Page:
    adjectives = "intergovernmental characteristically industrialised incomprehensible straightforwardly counterproductive interdepartmental uncharacteristic".split()
    nouns = "administration responsibilities representatives commercialisation recommendations misunderstandings infrastructure implementation documentation".split()
    verbs = "demonstrates underestimates institutionalises overemphasises misrepresents acknowledges reconstructs".split()
    links = "notwithstanding throughout approximately consequently nevertheless".split()

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
        some = {"f": pen.rng.choice(FOODS), "f2": pen.rng.choice(FOODS), "g": pen.rng.choice(GOODS), "a": pen.rng.choice(PETS), "t": pen.rng.choice(world.towns).name, "n": pen.rng.choice(world.people).name}
        lines.append(f"{mark} {pen.fill(pen.rng.choice(things), some)}")
    return page(f"Packing list of {person.name}", [("p", "\n".join(lines))])


def teasers(pen: Pen, world: World, person: Person) -> Page:
    lines = [sentence.rstrip(".!?") + "..." for sentence in prose(pen, world, person, 14)]
    return page(f"Latest from {person.town.name}", lines)


def numbers(pen: Pen, world: World, person: Person) -> Page:
    r = pen.rng
    lines = ["The table shows how many things were sold in the market with the price of each in coins."]
    for good in r.sample(GOODS + FOODS, 24):
        lines.append(f"The {good} of the {r.choice(JOBS)} {r.randint(10, 999)} {r.randint(1000, 9999)} {r.randint(10, 99)}.{r.randint(0, 9)} {r.randint(100, 999)} / {r.randint(2, 60)}")
    return page(f"PRICES IN {person.town.name.upper()}", [("p", "\n".join(lines))])


def no_stop_words(pen: Pen, world: World, person: Person) -> Page:
    r = pen.rng
    shapes = (
        "Buy {a} {b} here while prices are low.", "Our {c} loves {a} {b} from this shop.", "See photos showing {a} {b} in large sizes.", "New {b} arrived this week, also {a} {d}.",
        "Ask for our {a} range when you call us today.", "{b} or {d}: your choice, free returns.", "Why not try {a} {d} instead?", "Wide choice in {a} {b}, small sizes on request.",
        "Fast shipping for all {a} {b} this month.", "Gift cards for any {c} you know.", "Top quality {d}, made by hand in our own yard.", "Reviews by {c} customers show how good our {b} is.",
        "Perfect for your {c}: {a} {d} in three sizes.", "More {d} than any other shop, more {a} {b} too.", "Every {c} needs {a} {b}, so order now.", "Prices for {d} are falling again, hurry up!",
    )  # fmt: skip
    colours = "red blue green white yellow grey brown black silver golden pale dark".split()

    def line() -> str:
        return pen.say(shapes).format(a=r.choice(colours), b=r.choice(GOODS + FOODS), c=r.choice(JOBS), d=r.choice(GOODS + FOODS)).capitalize()

    return page(f"{person.town.good.capitalize()} shop online", paragraphs(r, [line() for _ in range(15)], 2, 3))


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
    links = (", and ", ", while ", ", but then ", ", so ", ", because, as they say, ", "; ", " - ", ", which is odd, for ", ", and yet ", ", or so I heard, and ")
    text = parts[0]
    for part in parts[1:]:
        text += pen.rng.choice(links) + (part[0].lower() + part[1:] if part.split()[0] in ("He", "She", "The", "It", "At", "In", "His", "Her", "When", "Every") else part)
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
    adjectives = "old pale soft wild lost blue cold slow deep grey thin sweet green high far warm".split()
    verbs = "sing fall wait rise turn sleep call burn shine walk sink dance fade wake".split()
    nouns = [word for word in GOODS + FOODS + PETS if len(word) <= 6]
    lines = []
    for _ in range(44):
        r = pen.rng
        words = {"w": r.choice(nouns), "v": r.choice(nouns), "a": r.choice(adjectives), "b": r.choice(adjectives), "x": r.choice(verbs), "y": r.choice(verbs), "t": person.town.name}
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
    long = "Administrative Correspondence Representative Investigations Transportation Communications Infrastructure Entertainment Agricultural Constitutional".split()
    lines = []
    for number in range(54):
        if number % 5 in (0, 2):
            line = f"{r.choice(long)} {r.choice(long)} {r.choice(['Desk', 'Hall', 'Room', 'Team', 'Fund'])}"
        else:
            line = f"{r.choice(['Head', 'Office', 'Hall', 'Keys', 'Lord', 'Book', 'House'])} {r.choice(['of', 'with', 'and'])} {r.choice(GOODS + FOODS + PETS + JOBS)}"
        lines.append(line + ("." if number % 5 == 1 else ""))
    return page("Rooms", [("p", "\n".join(dict.fromkeys(lines)))])


RULES: dict[str, tuple[str, Writer]] = {
    "dup_para_frac": ("gopher_repetition", repeated_paragraphs),
    "dup_line_frac": ("gopher_repetition", repeated_lines),
    "top_2_gram": ("gopher_repetition", keyword_spam),
    "duplicated_5_n_grams": ("gopher_repetition", phrase_spam),
    "gopher_short_doc": ("gopher_quality", short),
    "gopher_above_avg_threshold": ("gopher_quality", long_words),
    "gopher_too_many_hashes": ("gopher_quality", hashtags),
    "gopher_too_many_ellipsis": ("gopher_quality", ellipses),
    "gopher_too_many_bullets": ("gopher_quality", bullets),
    "gopher_too_many_end_ellipsis": ("gopher_quality", teasers),
    "gopher_below_alpha_threshold": ("gopher_quality", numbers),
    "gopher_enough_stop_words": ("gopher_quality", no_stop_words),
    "curly_bracket": ("c4", code),
    "lorem_ipsum": ("c4", lorem),
    "too_few_sentences": ("c4", run_on),
    "javascript": ("c4", javascript),
    "policy": ("c4", cookie_wall),
    "line_punct_ratio": ("fineweb", headlines),
    "short_line_ratio": ("fineweb", poem),
    "char_dup_ratio": ("fineweb", shared_lines),
    "list_ratio": ("fineweb", directory),
}


def junk(pen: Pen, world: World, person: Person, rule: str) -> Page:
    return RULES[rule][1](pen, world, person)


