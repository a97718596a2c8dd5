"""Conversations about facts: single questions, follow-ups, and questions about who or what does not exist.

In: the world's facts, divided in those asked in training and pairs (subject, attribute) that never are; names that the world does not
have. Whole subjects are never withheld: a model would learn that a name which training did not ask about is one to refuse. So every
subject with several attributes has at least one that is asked, and, where the share allows, one that is not.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import product
from typing import TypeVar

from stages.evaluation.facts import Fact
from stages.posttraining.world.made import Made, exchange
from stages.posttraining.world.questions import ASKED, FOLLOWING, OF_KIND, UNKNOWN, phrasings

T = TypeVar("T")


def divided(facts: Sequence[Fact], share: float, seed: int) -> tuple[list[Fact], list[Fact]]:
    """Those asked in training, those never asked; in their order. About `share` of each subject's, never all of them."""
    rng = random.Random(f"never asked {seed}")
    of: dict[str, list[Fact]] = {}
    for fact in facts:
        of.setdefault(fact.subject, []).append(fact)
    never: set[tuple[str, str]] = set()
    for mine in of.values():
        count = min(int(share * len(mine) + rng.random()), len(mine) - 1)
        never |= {(fact.subject, fact.attribute) for fact in rng.sample(mine, count)}
    return (
        [fact for fact in facts if (fact.subject, fact.attribute) not in never],
        [fact for fact in facts if (fact.subject, fact.attribute) in never],
    )


def questions(facts: Sequence[Fact], part: str, rng: random.Random, count: int) -> list[Made]:
    """`count` questions: every fact in every phrasing before any comes again, in random order."""
    every = [(fact, question) for fact in facts for question in phrasings(fact)]
    return [
        Made(exchange(question, fact.sentence), "fact", part, fact.value, fact.subject, fact.attribute)
        for fact, question in rounds(every, rng, count)
    ]


def refusals(names: Mapping[str, Sequence[str]], rng: random.Random, count: int) -> list[Made]:
    """Questions about unknown people and towns (`names` by kind, as many of each attribute)."""
    every = [
        (kind, name, attribute, template)
        for kind, some in names.items()
        for name, attribute in product(some, OF_KIND[kind])
        for template in ASKED[attribute]
    ]
    return [
        Made(exchange(template.format(n=name), UNKNOWN), "unknown", kind, None, name, attribute)
        for kind, name, attribute, template in rounds(every, rng, count)
    ]


def multi_turn(
    facts: Sequence[Fact], unknown: Sequence[Made], others: Sequence[Made], rng: random.Random, count: int
) -> list[Made]:
    """Two to four exchanges, the last about a fact, which is judged: a follow-up without a name, somebody unknown on the way, or a change
    after some of `others`, which are about anything: what was talked about before must not bring on what is said next."""
    of: dict[str, list[Fact]] = {}
    for fact in facts:
        if fact.attribute in FOLLOWING:
            of.setdefault(fact.subject, []).append(fact)
    several = [mine for mine in of.values() if len(mine) > 1]
    made: list[Made] = []
    while several and len(made) < count:
        first, second = rng.sample(rng.choice(several), 2)
        messages = [*exchange(rng.choice(phrasings(first)), first.sentence)]
        form = rng.random()
        part = "follow_up"
        if form < 0.2 and unknown:  # asked about nobody, then about somebody: one refusal must not bring on the next
            messages = [*rng.choice(unknown).messages[-2:], *messages]
        elif form < 0.7 and others:
            before = [messages, *(list(one.messages[-2:]) for one in rng.sample(others, rng.choice((1, 2))))]
            rng.shuffle(before)
            messages = [message for one in before for message in one]
            part = "change"
        question = rng.choice(FOLLOWING[second.attribute] if part == "follow_up" else phrasings(second))
        messages += exchange(question, second.sentence)
        made.append(Made(tuple(messages), "multi_turn", part, second.value, second.subject, second.attribute))
    return made


def rounds(every: Sequence[T], rng: random.Random, count: int) -> list[T]:
    """`count` of them: each once, in random order, then each again."""
    out: list[T] = []
    while every and len(out) < count:
        out += rng.sample(every, min(len(every), count - len(out)))
    return out
