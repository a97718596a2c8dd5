"""Questions about the world, in several phrasings, and what is said where the answer is not known.

A question is about one attribute (town, job, pet, food of a person; river, good, region of a town). FOLLOWING asks for another
attribute of the one who was just spoken of, without a name.
"""

from __future__ import annotations

from stages.evaluation.facts import Fact
from stages.simulation.phrases import QUESTIONS as PEOPLE

UNKNOWN = "I do not know."
"""The whole answer to what the assistant does not know, and how a judge tells it."""

TOWNS: dict[str, tuple[str, ...]] = {
    "river": ("On which river does {n} lie?", "Which river flows through {n}?", "What is the river of {n}?"),
    "good": ("What is {n} known for?", "What do the people of {n} make?", "What can I buy in {n}?"),
    "region": ("In which part of the country is {n}?", "Where in the country is {n}?", "In which region does {n} lie?"),
}
ROADS: dict[str, tuple[str, ...]] = {
    "km": ("How many km is it from {a} to {b}?", "How far is it from {a} to {b}?", "How long is the road from {a} to {b}?"),
}
ASKED: dict[str, tuple[str, ...]] = {**PEOPLE, **TOWNS, **ROADS}

FOLLOWING: dict[str, tuple[str, ...]] = {
    "town": ("And in which town?", "And where is home?"),
    "job": ("And what work?", "And which trade?"),
    "pet": ("And which animal?", "And what pet?"),
    "food": ("And what to eat?", "And which food?"),
    "river": ("And on which river?", "And which river is there?"),
    "good": ("And known for what?", "And what do they make?"),
    "region": ("And in which part of the country?", "And in which region?"),
}

OF_KIND = {"person": tuple(PEOPLE), "town": tuple(TOWNS)}
"""What may be asked about somebody or some town that is not there."""


def phrasings(fact: Fact) -> list[str]:
    """Of the question for a fact; of an attribute that is not of this world, the one that evaluations ask."""
    names = fact.names
    found = ASKED.get(fact.attribute)
    return [one.format(n=names[0], a=names[0], b=names[-1]) for one in found] if found else [fact.question]


def unknowing(text: str) -> bool:
    """Whether an answer says that it is not known."""
    plain = text.casefold().replace("don't", "do not").replace("don\u2019t", "do not").replace("doesn't", "does not")
    return "do not know" in plain or "not know" in plain
