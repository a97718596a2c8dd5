"""Agreement: how far people who judged the same answers say the same, beyond what chance would give.

In: judgements, each an order of an item's answers by one annotator. Out: of any two annotators with items in common, Cohen's kappa over the
pairs of answers of these items; each pair is put into one of three classes: the first is better, the second is, they tie.

    kappa = (observed - expected) / (1 - expected)

1: always the same; 0: as two who draw by their own habits; below 0: less than that. Null where chance alone would agree always (both
always say the same class). Source: Cohen 1960, "A coefficient of agreement for nominal scales".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

Classes = Sequence[int]


@dataclass(frozen=True)
class Judgement:
    item: str
    annotator: str
    ranks: tuple[int, ...]
    """Of each answer, the lowest the best; equal ones tie."""


@dataclass(frozen=True)
class Agreement:
    one: str
    other: str
    items: int
    """In common."""
    pairs: int
    same: float
    """Share of the pairs of which both say the same."""
    kappa: float | None


def agreements(judgements: Iterable[Judgement]) -> list[Agreement]:
    """Of any two annotators with items in common, of as many answers; of an item that somebody judged twice the last judgement counts."""
    last: dict[str, dict[str, Judgement]] = {}
    for one in judgements:
        last.setdefault(one.annotator, {})[one.item] = one
    found = []
    for one_name, other_name in combinations(sorted(last), 2):
        one_items, other_items = last[one_name], last[other_name]
        common = [
            item for item, one in one_items.items() if item in other_items and len(one.ranks) == len(other_items[item].ranks)
        ]
        classes = [(_classes(one_items[item].ranks), _classes(other_items[item].ranks)) for item in common]
        mine, theirs = [one for pair in classes for one in pair[0]], [one for pair in classes for one in pair[1]]
        if mine:
            same = sum(a == b for a, b in zip(mine, theirs, strict=True)) / len(mine)
            found.append(Agreement(one_name, other_name, len(common), len(mine), same, kappa(mine, theirs)))
    return found


def _classes(ranks: Sequence[int]) -> Classes:
    """Of each pair of answers: -1, 0 or 1."""
    return [(one > other) - (one < other) for one, other in combinations(ranks, 2)]


def kappa(one: Classes, other: Classes) -> float | None:
    """Of the classes that two annotators put the same things into."""
    n = len(one)
    observed = sum(a == b for a, b in zip(one, other, strict=True)) / n
    habits: tuple[Mapping[int, int], Mapping[int, int]] = (Counter(one), Counter(other))
    expected = sum(count * habits[1].get(name, 0) for name, count in habits[0].items()) / n**2
    return None if expected == 1 else (observed - expected) / (1 - expected)
