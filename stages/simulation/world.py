"""The made-up country that the simulated web writes about: who lives where, does what, keeps and eats what; which towns there are.

A seed gives a `World`: 160 people with four attributes each, 30 towns with three, 60 roads with a length; 790 facts, about as many as
a network of one million parameters can learn. Everybody has one name, every name is one word, and no two names are alike.
`facts(world)` is the machine-readable table of them, with one plain sentence each. The sentence of every second person is `withheld`:
pages state that fact in other words only, so a model that completes the sentence has learned the fact and not the sentence.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from stages.simulation import details

JOBS, PETS, FOODS, GOODS = tuple(details.JOBS), tuple(details.PETS), tuple(details.FOODS), tuple(details.GOODS)
REGIONS = tuple(details.REGIONS)

ONSETS = ["b", "br", "d", "dr", "f", "g", "gr", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "tr", "v", "z", "th"]
VOWELS = ["a", "e", "i", "o", "u", "a", "e", "o"]
MIDDLES = ["l", "r", "n", "m", "s", "d", "v", "nd", "rl", "lm", "rn", "st", "ld"]
PERSON_ENDINGS = ["ek", "un", "ath", "eth", "iva", "ola", "uri", "ando", "esk", "im", "ild", "amo"]
RIVER_ENDINGS = ["uth", "ewa", "aly", "osh", "und"]
TOWN_ENDINGS = ["ford", "wick", "holm", "mere", "dale", "port", "stead", "bury", "well"]

FACTS: dict[str, pl.DataType] = {
    "kind": pl.String(),  # person, town or road
    "subject": pl.String(),  # a name; of a road "start - end"
    "attribute": pl.String(),  # town, job, pet, food; river, good, region; km
    "value": pl.String(),
    "sentence": pl.String(),  # the fact in the plainest words
    "withheld": pl.Boolean(),  # true: no page has this very sentence
}


@dataclass(frozen=True)
class Town:
    name: str
    river: str
    good: str
    region: str

    @property
    def in_region(self) -> str:
        return "on the coast" if self.region == "coast" else f"in the {self.region}"


@dataclass(frozen=True)
class Person:
    name: str
    female: bool
    town: Town
    job: str
    pet: str
    food: str
    withheld: bool


@dataclass(frozen=True)
class Road:
    start: Town
    end: Town
    km: int


@dataclass(frozen=True)
class World:
    people: tuple[Person, ...]
    towns: tuple[Town, ...]
    roads: tuple[Road, ...]

    def neighbours(self, person: Person) -> list[Person]:
        """The other people of the same town, in order of the table."""
        return [other for other in self.people if other.town == person.town and other != person]

    def roads_of(self, town: Town) -> list[Road]:
        return [road for road in self.roads if town in (road.start, road.end)]


def article(noun: str) -> str:
    return ("an " if noun[0] in "aeio" else "a ") + noun


def build(seed: int, people: int = 160, towns: int = 30, rivers: int = 8) -> World:
    """The world of this seed; the same on every machine."""
    rng = random.Random(f"world {seed}")
    taken: set[str] = set()

    def names(count: int, middles: list[str], endings: list[str]) -> list[str]:
        found: list[str] = []
        while len(found) < count:
            name = rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(middles) + rng.choice(endings)
            if name not in taken and 4 <= len(name) <= 11:
                taken.add(name)
                found.append(name.capitalize())
        return found

    river_names = names(rivers, MIDDLES, RIVER_ENDINGS)
    places = [
        Town(name, rng.choice(river_names), rng.choice(GOODS), rng.choice(REGIONS))
        for name in names(towns, ["l", "r", "n", "m", "s", "b"], TOWN_ENDINGS)
    ]
    inhabitants = [
        Person(
            name, rng.random() < 0.5, rng.choice(places), rng.choice(JOBS), rng.choice(PETS), rng.choice(FOODS), index % 2 == 1
        )
        for index, name in enumerate(names(people, MIDDLES, PERSON_ENDINGS))
    ]
    roads = [
        Road(place, places[(index + step) % towns], 5 * rng.randint(2, 19))
        for index, place in enumerate(places)
        for step in (1, 5)
    ]
    return World(tuple(inhabitants), tuple(places), tuple(roads))


def facts(world: World) -> pl.DataFrame:
    """The columns FACTS, one row per fact."""

    def rows() -> Iterator[tuple[str, str, str, str, str, bool]]:
        for p in world.people:
            yield "person", p.name, "town", p.town.name, f"{p.name} lives in {p.town.name}.", p.withheld
            yield "person", p.name, "job", p.job, f"{p.name} works as {article(p.job)}.", p.withheld
            yield "person", p.name, "pet", p.pet, f"{p.name} keeps {article(p.pet)}.", p.withheld
            yield "person", p.name, "food", p.food, f"{p.name} likes to eat {p.food}.", p.withheld
        for t in world.towns:
            yield "town", t.name, "river", t.river, f"{t.name} lies on the river {t.river}.", False
            yield "town", t.name, "good", t.good, f"{t.name} is known for its {t.good}.", False
            yield "town", t.name, "region", t.region, f"{t.name} is {t.in_region} of the country.", False
        for r in world.roads:
            yield (
                "road",
                f"{r.start.name} - {r.end.name}",
                "km",
                str(r.km),
                f"From {r.start.name} to {r.end.name} it is {r.km} km.",
                False,
            )

    return pl.DataFrame(list(rows()), schema=FACTS, orient="row")
