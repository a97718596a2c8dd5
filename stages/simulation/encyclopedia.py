"""Reference pages: the entry of a person, the entry of a town, and "who is who" of a town."""

from __future__ import annotations

from stages.simulation.grammar import Pen
from stages.simulation.page import Block, Page, page
from stages.simulation.phrases import JOINT, ROAD, landscape, portrait, slots, state, town_slots
from stages.simulation.world import Person, Road, Town, World

LEADS = (
    "{n} is {ajob} from {town}, a town on the river {river}.",
    "{n} ([born|raised] {in_region} of the country) is {ajob} who lives in {town}.",
    "{n} is [a well known|a popular|the best known] {job} of {town}.",
    "Of all the people who were ever called {job} in {town}, {n} is the one whom [strangers|visitors] ask for.",
    "{n}, {ajob} and keeper of {apet}, is one of the [well known|familiar] faces of {town}.",
    "This article is about {n}, the {job} from {town} on the {river}.",
)
REPUTATION = (
    "{he} is said to be <mood> and <mood>.",
    "Those who have met {him} describe {him} as <mood>, sometimes even too <mood>.",
    "A song about {him} is sung in <few> towns.",
    "Little is written about {his} early years, but the neighbours remember a <mood> child.",
    "{his} portrait hangs in the <place> of {town}, between a map and a clock.",
    "Stories about {him} are told far beyond {town}, and not all of them are true.",
    "{he} has never [asked for|wanted] fame, yet it found {him}.",
)
LEARNING = (
    "{he} [started|began] as a helper and swept the floor for <few> years.",
    "{his} teacher was an old {job} who said little and saw everything.",
    "After <few> years {he} opened a place of {his} own near the <place>.",
    "In <season> there is more to do than in <season>, and {he} takes on a helper.",
    "People come from the next town because {he} asks a fair price.",
    "{he} {does} and, when there is time, {does2}.",
    "It is a trade for patient people, and {he} has patience.",
    "On <day> the door stays closed, and nobody complains.",
)
ANIMAL = (
    "The {pet} [arrived|came] one <wild> night and stayed.",
    "It {petdoes}, which the neighbours find funny.",
    "On market days the {pet} comes along and {petdoes}.",
    "Some say the {pet} is cleverer than the mayor.",
    "{he} bought it for <count> coins from a sailor.",
    "There is a <colour> sign at the gate with a picture of the {pet} on it.",
    "A <size> {pet} it is, and a proud one.",
)
TABLE = (
    "The cooks of {town} know this and keep some aside.",
    "{he} eats it {way}, and on holidays too.",
    "It was the dish of {his} <kin>.",
    "When a bad harvest came, {he} went without it for <few> months and never forgot it.",
    "{he} once finished <count> plates of it on a single <day>.",
    "No feast at {his} house ends without it.",
)
LIFE_IN_TOWN = (
    "The town has a <building> and <few> gates.",
    "Market is held on <day>, rain or shine.",
    "The oldest building is the <building>, which was built after the great <weather>.",
    "Its streets are <size>, and its people are <mood>.",
    "A council of <count> members meets in the <building>.",
    "The <building> burned down once and was built again in <colour> stone.",
    "Every <season> there is a fair with <noise> until midnight.",
    "Travellers praise the beds and complain about the <noise>.",
    "At the <place> a <colour> flag shows that the gates are open.",
)


def road(pen: Pen, way: Road) -> str:
    a, b = (way.start, way.end) if pen.chance(0.5) else (way.end, way.start)
    return pen.say(ROAD, {"a": a.name, "b": b.name, "km": str(way.km)})


def person_entry(pen: Pen, world: World, person: Person) -> Page:
    def more(stock: tuple[str, ...], count: int) -> list[str]:
        return [pen.say(stock, slots(pen, person, pronoun=True)) for _ in range(count)]

    sections: list[tuple[str, list[str]]] = [
        ("Work", [state(pen, person, "job"), *more(LEARNING, 1), state(pen, person, "job"), state(pen, person, "job", True)]),
        (
            f"The {person.pet}",
            [state(pen, person, "pet"), *more(ANIMAL, 1), state(pen, person, "pet"), state(pen, person, "pet", True)],
        ),
        (
            "At the table",
            [state(pen, person, "food"), *more(TABLE, 1), state(pen, person, "food"), state(pen, person, "food", True)],
        ),
        (
            "Home",
            [
                state(pen, person, "town"),
                *landscape(pen, person.town, 1),
                state(pen, person, "town"),
                state(pen, person, "town", True),
            ],
        ),
    ]
    blocks: list[Block] = [
        ("p", " ".join([pen.say(LEADS, slots(pen, person)), *more(REPUTATION, 1), *portrait(pen, person, 2, named=False)]))
    ]
    for heading, sentences in pen.rng.sample(sections, pen.rng.randint(3, 4)):
        blocks += [("h2", heading), ("p", " ".join(sentences))]
    neighbours = world.neighbours(person)
    if neighbours:
        friend = pen.rng.choice(neighbours)
        blocks += [
            ("h2", "Neighbours"),
            ("p", " ".join([pen.say(JOINT, slots(pen, friend)), *portrait(pen, friend, pen.rng.randint(3, 7))])),
        ]
    return page(person.name, blocks)


def town_entry(pen: Pen, world: World, town: Town) -> Page:
    facts = landscape(pen, town, 9)
    life = [pen.say(LIFE_IN_TOWN, town_slots(pen, town)) for _ in range(6)]
    people = [p for p in world.people if p.town == town]
    blocks: list[Block] = [("p", " ".join(facts[:3])), ("h2", "The town"), ("p", " ".join([life[0], *facts[3:5], life[1]]))]
    blocks += [
        ("p", " ".join([*life[2:4], facts[5]])),
        ("h2", "Roads"),
        ("p", " ".join(road(pen, way) for way in world.roads_of(town))),
    ]
    if people:
        blocks.append(("h2", "People"))
        for person in pen.rng.sample(people, min(len(people), pen.rng.randint(3, 6))):
            blocks.append(("p", " ".join([pen.say(JOINT, slots(pen, person)), *portrait(pen, person, pen.rng.randint(2, 5))])))
    blocks += [("h2", "Trade"), ("p", " ".join([facts[6], life[4], *facts[7:9], life[5]]))]
    return page(town.name, blocks)


def who_is_who(pen: Pen, world: World, town: Town) -> Page:
    """Seven people, those of the town first."""
    locals_ = [p for p in world.people if p.town == town]
    chosen = pen.rng.sample(locals_, min(len(locals_), 4))
    chosen += pen.rng.sample([p for p in world.people if p.town != town], 7 - len(chosen))
    intro = [
        "These are people whom you may meet in and around {town}.",
        "Here is a short list of people worth knowing near {town}.",
    ]
    blocks: list[Block] = [("p", " ".join([pen.say(intro, town_slots(pen, town)), *landscape(pen, town, 2)]))]
    for person in chosen:
        opening = pen.say(JOINT if pen.chance(0.7) else LEADS, slots(pen, person))
        blocks += [("h2", person.name), ("p", " ".join([opening, *portrait(pen, person, pen.rng.randint(2, 6), named=False)]))]
    return page(pen.fill("[Who is who in {town}|People of {town}|Faces of {town}]", town_slots(pen, town)), blocks)
