"""Names of people and towns that the world does not have, made as its own are, and as long as these in tokens.

In: the world's names, a tokenizer, a seed. Out: names for training and others for tests, each with the lengths of the known ones. Where
unknown names were longer, their length alone would tell a model to refuse. The world has few names of few tokens, its syllables many:
where they run out at one length, the nearest lengths stand in, shorter ones first.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import product

from models.tokenizer.tokenizer import Tokenizer
from stages.simulation.world import MIDDLES, ONSETS, PERSON_ENDINGS, TOWN_ENDINGS, VOWELS

ENDINGS = {"person": PERSON_ENDINGS, "town": TOWN_ENDINGS}
TOWN_MIDDLES = [middle for middle in MIDDLES if len(middle) == 1] + ["b"]


def possible(kind: str) -> list[str]:
    """Every name that the world's syllables allow, sorted."""
    middles = MIDDLES if kind == "person" else TOWN_MIDDLES
    made = {"".join(parts) for parts in product(ONSETS, VOWELS, middles, ENDINGS[kind])}
    return sorted(name.capitalize() for name in made if 4 <= len(name) <= 11)


def lengths(names: Sequence[str], tokenizer: Tokenizer) -> list[int]:
    """Of each name in the middle of a sentence, in tokens."""
    return [len(ids) for ids in tokenizer.encode_batch([f" {name}" for name in names])]


def unknown(
    kind: str, known: Sequence[str], taken: Iterable[str], counts: tuple[int, int], tokenizer: Tokenizer, seed: int
) -> tuple[list[str], list[str]]:
    """Names for training and others for tests, as many as `counts` says; none is among `taken`, whatever the case. Tests choose first."""
    used = {name.casefold() for name in taken}
    pool = [name for name in possible(kind) if name.casefold() not in used]
    rng = random.Random(f"unknown {kind} {seed}")
    rng.shuffle(pool)
    by_length: defaultdict[int, list[str]] = defaultdict(list)
    for name, length in zip(pool, lengths(pool, tokenizer), strict=True):
        by_length[length].append(name)
    train: list[str] = []
    test: list[str] = []
    for part, count in ((test, counts[1]), (train, counts[0])):
        for length in quotas(lengths(known, tokenizer), count):
            nearest = min((one for one in by_length if by_length[one]), key=lambda one: (abs(one - length), one))
            part.append(by_length[nearest].pop())
        rng.shuffle(part)
    return train, test


def quotas(lengths: Sequence[int], count: int) -> list[int]:
    """`count` lengths, each as often as its share of `lengths`, by largest remainders; rare ones first, which are hardest to serve."""
    found = Counter(lengths)
    exact = {length: count * times / len(lengths) for length, times in found.items()}
    out = {length: int(value) for length, value in exact.items()}
    for length in sorted(exact, key=lambda one: (out[one] - exact[one], one))[: count - sum(out.values())]:
        out[length] += 1
    return [length for length in sorted(out, key=lambda one: (out[one], one)) for _ in range(out[length])]
