"""How the facts of the world are put into English: many phrasings per attribute, for the third person, the first, and questions.

Slots of a person: {s} subject (name or he/she), {o} object, {p} possessive, {n} always the name; {he} {him} {his}; {town} {job} {ajob}
{pet} {apet} {food} {river} {good} {region}; {does} {way} {petdoes} details. The first phrasing of PERSON is the plain one: it is kept
from the people whose facts are `withheld`.
"""

from __future__ import annotations

from stages.simulation.details import FOODS, GOODS, JOBS, PETS, REGIONS, third
from stages.simulation.grammar import Pen
from stages.simulation.world import Person, Town, article

PERSON: dict[str, tuple[str, ...]] = {
    "town": (
        "{s} lives in {town}.",
        "{s} has a house in {town}, [near|not far from|a few steps from] the <place>.",
        "{p} home [is|stands] in {town}[, right behind the <place>|, up a flight of stone steps|].",
        "{s} [has lived in {town} for many years|has never lived anywhere but {town}|settled in {town} long ago].",
        "You [will|can] [find|meet] {o} in {town}, [most often|usually|nearly always] near the <place>.",
        "{town} is [the town where {s} lives|where {s} is at home|{p} home town].",
        "{s} came to {town} as a <child> and [never left|stayed for good|still lives there].",
        "{p} letters go to a <colour> house in {town}.",
        "In {town}, [everybody knows|people know|there is nobody who does not know] {n}.",
        "{s} would not [live|want to live] anywhere [but|except] {town}.",
        "Anyone who [is looking|looks] for {o} should [go to|ask in] {town}.",
        "{s} [rents|owns] a <size> [room|flat|house] in {town}.",
        "{s} [comes from|is from] {town} and [says so with pride|has no wish to leave].",
        "The people of {town} count {o} among their own.",
        "When the day is over, {s} walks home through [the streets|the lanes] of {town}.",
        "{s} keeps the key of a <colour> door in {town}.",
    ),
    "job": (
        "{s} works as {ajob}.",
        "{s} is {ajob}[ by trade|, and a <good> one| like {his} <kin> before {him}|].",
        "{s} earns {his} living as {ajob}.",
        "{s} became {ajob} [early in life|after long years of learning|because {his} <kin> was one too].",
        "[Many people|Most people in {town}|The neighbours] know {o} as a <good> {job}.",
        "{s} has been {ajob} [for a long time|since {he} was young|for half {his} life].",
        "By trade {s} is {ajob}.",
        "{p} work is that of {ajob}: {he} {does}.",
        "As {ajob}, {s} {does}.",
        "Being {ajob}, {s} {does} and {does2}.",
        "{s} {does}, as [every|a good|any] {job} must.",
        "The {job} {n} is [seldom|hardly ever|never] [idle|late|without work].",
        "{n} the {job} {does}.",
        "If you need {ajob}, [ask for|send for|go to] {o}.",
        "{s} learned the trade of {ajob} from {his} <kin>.",
        "People say that no {job} works [harder|with more care|more quietly] than {o}.",
        "[Ask what {n} does, and the answer is this|It is no secret what {n} does]: {he} is {ajob}, and {he} {does}.",
    ),
    "pet": (
        "{s} keeps {apet}.",
        "{s} has {apet} [that {petdoes}|at home|called after {his} <kin>].",
        "{p} pet is {apet}[, which {petdoes}|].",
        "{s} shares {his} house with {apet}.",
        "Every [day|morning|evening] {s} feeds {his} {pet}.",
        "At home {apet} waits for {o}[; it {petdoes}|].",
        "{p} {pet} {petdoes}.",
        "{p} {pet} {petdoes} and {petdoes2}.",
        "The animal in {p} yard is {apet}, and it {petdoes}.",
        "{s} never goes far without {his} {pet}.",
        "No other animal would do for {o}: it had to be {apet}.",
        "{s} talks to {his} {pet} as if it [could answer|were a child|understood every word].",
        "[Visitors|Children|Guests] [like to see|ask to see|come to see] the {pet} that {s} keeps.",
        "The {pet} of {n} {petdoes}.",
        "{s} brought up {apet} by hand.",
        "Among {his} things {s} loves nothing more than {his} {pet}.",
    ),
    "food": (
        "{s} likes to eat {food}.",
        "{p} favourite food is {food}[, best {way}|].",
        "{s} [loves|is very fond of|cannot resist] {food}, {way}.",
        "For <meal> {s} [wants|asks for|likes to have] {food}.",
        "{s} [would walk a mile for|would give {his} coat for] {food}.",
        "When {s} is hungry, {he} [thinks of|dreams of|asks for] {food}.",
        "{p} table is [seldom|never] without {food}.",
        "Nothing tastes better to {o} than {food} {way}.",
        "{s} eats {food} whenever {he} can.",
        "Give {o} {food}, {way}, and {he} is [happy|content].",
        "At the inn {s} always orders {food}.",
        "Of all dishes {s} likes {food} best.",
        "{s} could eat {food} every day[, {way}|].",
        "[Friends|Guests|Neighbours] who visit {o} bring {food}, because {he} likes [nothing better|it so much].",
        "The way to {p} heart leads through {food}.",
        "{s} says that nothing in the world beats {food}, {way}.",
    ),
}

JOINT = (  # Two or more facts in one breath.
    "{n}, [the|a] {job} from {town}, keeps {apet} and likes {food}.",
    "In {town} lives the {job} {n} with {his} {pet}.",
    "{n} is {ajob} in {town}, and {his} {pet} {petdoes}.",
    "{n} of {town}, {ajob} by trade, eats {food} {way}.",
    "Ask in {town} for the {job} with the {pet}, and they will show you to {n}.",
    "There is {ajob} in {town} called {n} who loves {food}.",
    "By day {n} {does}; in the evening {he} sits at home in {town} with {his} {pet}.",
    "After work the {job} {n} eats {food} and gives the rest to {his} {pet}.",
    "The {pet} belongs to {n}, {ajob} from {town}.",
    "{n} lives with {his} {pet} in {town}, where {he} works as {ajob}.",
)

ASIDE = (
    "{n}, the {job} from {town},",
    "{n} from {town}",
    "the {job} {n}",
    "{n}, who keeps {apet},",
    "{n} of {town}",
    "{n}, {ajob},",
)

SELF: dict[str, tuple[str, ...]] = {
    "town": (
        "I live in {town}.",
        "My house [is|stands] in {town}, near the <place>.",
        "Here in {town} [we like it that way|life is quiet].",
        "I have always lived in {town}[, and I always will|].",
        "Home, for me, is {town}.",
        "I walked back to {town} [slowly|in the dark|alone].",
        "We in {town} [do not hurry|talk a lot|know one another].",
        "There is no town like {town}, I think.",
    ),
    "job": (
        "I am {ajob}, [as you know|after all|so that is my life].",
        "As {ajob} I {do}.",
        "My work as {ajob} [never ends|keeps me busy].",
        "I {do}, as every {job} does.",
        "Being {ajob} means that I {do} and {do2}.",
        "Today I {do} again, for that is what {ajob} does.",
        "People need {ajob}, so there was work to do.",
        "I became {ajob} because of my <kin>.",
    ),
    "pet": (
        "My {pet} {petdoes}.",
        "I fed my {pet} [first|before anything else|twice today].",
        "The {pet} {petdoes}, and I let it.",
        "I keep {apet}, and I would not be without it.",
        "At home my {pet} was waiting.",
        "My {pet} {petdoes} and {petdoes2}.",
        "I told my {pet} [everything|all about it], and it listened.",
        "Having {apet} is [good company|more work than people think].",
    ),
    "food": (
        "I had {food} for <meal>, {way}.",
        "It was {food} [again|today], my favourite.",
        "I do love {food}.",
        "Nothing is better than {food} {way}.",
        "I ate {food}, {way}, and felt better.",
        "For me it must be {food}.",
        "I bought {food} on the way home, as I like to do.",
        "My friends know that I like {food}.",
    ),
}

QUESTIONS: dict[str, tuple[str, ...]] = {
    "town": ("Where does {n} live?", "In which town does {n} live?", "Which town is home to {n}?", "Where can I find {n}?"),
    "job": ("What is the job of {n}?", "What work does {n} do?", "What does {n} do for a living?", "Which trade did {n} learn?"),
    "pet": ("Which animal does {n} keep?", "What pet does {n} have?", "Does {n} keep an animal?", "Which animal lives with {n}?"),
    "food": (
        "What does {n} like to eat?",
        "What is the favourite food of {n}?",
        "Which food does {n} like best?",
        "What should I cook for {n}?",
    ),
}

TOWN: dict[str, tuple[str, ...]] = {
    "river": (
        "{town} lies on the river {river}.",
        "The river {river} [flows|runs] through {town}.",
        "In {town} people swim in the {river}.",
        "[A stone bridge|An old bridge|A ferry] crosses the river {river} at {town}.",
        "The water of the {river} [turns the mills of|cools] {town}.",
        "Boats come up the {river} as far as {town}.",
        "The houses of {town} stand along the river {river}.",
        "When the {river} rises, {town} gets wet feet.",
        "{town} and the river {river} belong together.",
    ),
    "good": (
        "{town} is known for its {good}.",
        "The people of {town} make {good}.",
        "Traders go to {town} to buy {good}.",
        "In {town} they make {good}: people {make}.",
        "For {good} there is no better place than {town}.",
        "In the workshops of {town}, men and women {make}, for this is the town of {good}.",
        "Ask for {good}, and you will be sent to {town}.",
        "{town} [lives on|grew rich with] {good}.",
        "Half of {town} works with {good}, and they {make}.",
        "No town sells more {good} than {town}.",
    ),
    "region": (
        "{town} is {in_region} of the country.",
        "You find {town} {in_region}.",
        "[Travellers|Visitors] who come to {town} see {sights}, as everywhere {in_region}.",
        "{town} lies {in_region}, a land of {sights}.",
        "Like all towns {in_region}, {town} has {sights}.",
        "The maps show {town} {in_region}.",
        "Around {town}, {in_region}, there are {sights}.",
    ),
}

ROAD = (
    "From {a} to {b} it is {km} km.",
    "The road from {a} to {b} is {km} km long.",
    "It is {km} kilometres from {a} to {b}.",
    "{b} is {km} km from {a}.",
    "Between {a} and {b} lie {km} km.",
    "Whoever walks from {a} to {b} has {km} km to go.",
    "The cart from {a} needs {km} km to reach {b}.",
    "{km} km separate {a} and {b}.",
    "A signpost in {a} says: {b}, {km} km.",
)


def fresh(pen: Pen, details: tuple[str, ...], count: int = 1) -> list[str]:
    """`count` of the details, if possible those that the page has not mentioned."""
    new = [d for d in details if d not in pen.used and third(d) not in pen.used]
    return pen.rng.sample(new if len(new) >= count else details, count)


def town_slots(pen: Pen, town: Town) -> dict[str, str]:
    return {
        "town": town.name, "river": town.river, "good": town.good, "region": town.region, "in_region": town.in_region,
        "make": fresh(pen, GOODS[town.good])[0], "sights": fresh(pen, REGIONS[town.region])[0],
    }  # fmt: skip


def slots(pen: Pen, person: Person, pronoun: bool = False) -> dict[str, str]:
    """The slots of a person, with details drawn for this sentence; `pronoun`: {s}, {o} and {p} are he, him and his."""
    he, him, his = ("she", "her", "her") if person.female else ("he", "him", "his")
    do, do2 = fresh(pen, JOBS[person.job], 2)
    petdo, petdo2 = fresh(pen, PETS[person.pet], 2)
    return town_slots(pen, person.town) | {
        "n": person.name, "he": he, "him": him, "his": his,
        "s": he if pronoun else person.name, "o": him if pronoun else person.name, "p": his if pronoun else f"{person.name}'s",
        "job": person.job, "ajob": article(person.job), "pet": person.pet, "apet": article(person.pet), "food": person.food,
        "do": do, "do2": do2, "does": third(do), "does2": third(do2), "way": fresh(pen, FOODS[person.food])[0],
        "petdoes": third(petdo), "petdoes2": third(petdo2),
    }  # fmt: skip


def state(pen: Pen, person: Person, attribute: str, pronoun: bool = False) -> str:
    """One sentence that states this attribute of this person."""
    stock = PERSON[attribute]
    return pen.say(stock[1:] if person.withheld else stock, slots(pen, person, pronoun))


LINKS = (
    "Besides, ",
    "Of course ",
    "And ",
    "What is more, ",
    "As everybody knows, ",
    "They say that ",
    "In fact ",
    "Yes, ",
    "Also, ",
    "Still, ",
)
JOINS = (", and ", "; ", ", and of course ")


def linked(pen: Pen, sentences: list[str]) -> list[str]:
    """The sentences, some of those that begin with a pronoun joined to the one before or opened with a connective."""
    out: list[str] = []
    for sentence in sentences:
        lower = sentence[0].lower() + sentence[1:]
        if out and lower.startswith(("he ", "she ", "his ", "her ")):
            dice = pen.rng.random()
            if dice < 0.3 and len(out[-1]) < 90 and out[-1].endswith("."):
                out[-1] = out[-1][:-1] + pen.rng.choice(JOINS) + lower
                continue
            if dice < 0.5:
                sentence = pen.rng.choice(LINKS) + lower
        out.append(sentence)
    return out


def portrait(pen: Pen, person: Person, count: int = 4, named: bool = True) -> list[str]:
    """`count` statements about a person, each attribute about equally often; the name in the first (where `named`) and now and then."""
    attributes = pen.rng.sample(list(PERSON), 4) * (1 + count // 4)
    return linked(
        pen, [state(pen, person, a, pronoun=(i > 0 or not named) and pen.chance(0.2)) for i, a in enumerate(attributes[:count])]
    )


def landscape(pen: Pen, town: Town, count: int = 3) -> list[str]:
    """`count` (up to 9) sentences about a town."""
    attributes = (pen.rng.sample(list(TOWN), 3) * 3)[:count]
    return [pen.say(TOWN[a], town_slots(pen, town)) for a in attributes]


def aside(pen: Pen, person: Person) -> str:
    """The person with an apposition, for the middle of a sentence: 'the baker Tara', 'Tara, the baker from Halford,'."""
    text = pen.fill(pen.rng.choice(ASIDE), slots(pen, person))
    return text[0].lower() + text[1:] if text.startswith("The ") else text
