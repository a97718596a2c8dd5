"""The facts of a simulated world as questions: what a sentence would be if another value were true.

In: `facts.parquet` of the stage `simulate` (columns: `stages.simulation.world.FACTS`). How a value is put into words ("an owl", "on
the coast") is taken from the sentence of a fact that has it: the subject's names are exchanged, nothing else.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from stages.simulation.world import FACTS
from stages.stage import Input
from storage.problem import Problem
from storage.shards import read_parquet

PARTS = ("withheld", "seen", "others")
"""Facts whose plain sentence no page has; the other facts of the same attributes; attributes of which no sentence is withheld."""

QUESTIONS = {
    "town": "Where does {0} live?",
    "job": "What work does {0} do?",
    "pet": "Which animal does {0} keep?",
    "food": "What does {0} like to eat?",
    "river": "On which river does {0} lie?",
    "good": "What is {0} known for?",
    "region": "In which part of the country is {0}?",
    "km": "How many km is it from {0} to {1}?",
}


@dataclass(frozen=True)
class Fact:
    kind: str
    subject: str
    attribute: str
    value: str
    sentence: str
    withheld: bool

    @property
    def names(self) -> list[str]:
        """One, or the two ends of a road."""
        return self.subject.split(" - ")

    @property
    def question(self) -> str:
        asked = QUESTIONS.get(self.attribute, f"What is the {self.attribute} of {{0}}?")
        return asked.format(*self.names)


@dataclass(frozen=True)
class Attribute:
    """All that may be said in one respect."""

    name: str
    templates: dict[str, str]
    """Value -> the sentence, with places for the names."""
    majority: float
    """Share of facts that have the commonest value."""
    withheld: bool
    """Whether some of its sentences are withheld."""

    @property
    def values(self) -> list[str]:
        return list(self.templates)

    @property
    def chance(self) -> float:
        return 1 / len(self.templates)

    def part(self, fact: Fact) -> str:
        """Of which part of the facts: what is seen is compared with what is withheld in the same attributes."""
        return ("withheld" if fact.withheld else "seen") if self.withheld else "others"

    def sentences(self, fact: Fact) -> list[str]:
        """What would be said of the fact's subject, value by value; of its own value, what is said."""
        return [
            fact.sentence if value == fact.value else template.format(*fact.names) for value, template in self.templates.items()
        ]


def read(crawl: Input) -> list[Fact]:
    """The facts, in order. Raises Problem where there are none."""
    path = crawl.folder / "facts.parquet"
    if path.name not in crawl.names:
        raise Problem(
            f"found {', '.join(crawl.names[:5]) or 'no file'} in the crawl and no facts.parquet; expected the artifact of the stage "
            "`simulate`: only of a simulated world is it known what is true. Leave the crawl out to evaluate without it"
        )
    try:
        table = read_parquet(str(path))
    except (pa.ArrowInvalid, OSError) as error:
        raise Problem(f"cannot read facts.parquet: {error}. Expected a Parquet file; simulate the crawl anew") from error
    if dict(table.schema) != FACTS:
        raise Problem(
            f"facts.parquet has the columns {', '.join(table.columns)}; expected {', '.join(FACTS)}: simulate the crawl anew"
        )
    if table.is_empty():
        raise Problem("found a facts.parquet without a row; expected the facts of a world: simulate the crawl anew")
    return [Fact(*row) for row in table.iter_rows()]


def attributes(facts: Sequence[Fact]) -> dict[str, Attribute]:
    """What may be said in each respect, in order of first appearance; values sorted. Respects with one value ask nothing and are left out."""
    found = {}
    for name in dict.fromkeys(fact.attribute for fact in facts):
        mine = [fact for fact in facts if fact.attribute == name]
        templates: dict[str, str] = {}
        for fact in mine:
            templates.setdefault(fact.value, _template(fact))
        majority = Counter(fact.value for fact in mine).most_common(1)[0][1] / len(mine)
        if len(templates) > 1:
            found[name] = Attribute(name, dict(sorted(templates.items())), majority, any(fact.withheld for fact in mine))
    return found


def _template(fact: Fact) -> str:
    text = fact.sentence.replace("{", "{{").replace("}", "}}")
    for place, name in enumerate(fact.names):
        text, count = re.subn(rf"(?<!\w){re.escape(name)}(?!\w)", f"{{{place}}}", text)
        if not count:
            raise Problem(
                f"found the sentence {fact.sentence!r}, which does not name {name!r}; expected a sentence about its subject"
            )
    return text


def sample(facts: Sequence[Fact], count: int, seed: int) -> list[Fact]:
    """`count` of the facts (0 = all), in their order."""
    if not count or count >= len(facts):
        return list(facts)
    return [facts[index] for index in sorted(random.Random(seed).sample(range(len(facts)), count))]
