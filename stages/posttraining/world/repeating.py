"""Saying again what was said: made-up words, numbers and letters that nobody could know by heart.

    Repeat: Draf 4417 w-o-k-u Teslin   Draf 4417 w-o-k-u Teslin

What a very small model lacks most is to look back: without it, it answers about the name that it knows instead of the one that was asked,
and cannot say what a tool brought. These conversations teach it in some hundred steps. One in eight is kept for tests.

Source: Olsson et al. 2022, "In-context Learning and Induction Heads".
"""

from __future__ import annotations

import random

from stages.posttraining.world.made import Made, exchange, reserved
from stages.simulation.world import ONSETS, PERSON_ENDINGS, VOWELS

ASK = ("Repeat: {text}", "Say it again: {text}", "Copy this: {text}")
LONGEST = 9
"""Words in a text; two at least."""


def repeating(rng: random.Random, count: int, test: bool) -> list[Made]:
    made: list[Made] = []
    while len(made) < count:
        text = " ".join(_word(rng) for _ in range(rng.randint(2, LONGEST)))
        if reserved("text", text) == test:
            made.append(Made(exchange(rng.choice(ASK).format(text=text), text), "repeat", "repeat", text))
    return made


def _word(rng: random.Random) -> str:
    form = rng.random()
    if form < 0.2:
        return str(rng.randint(0, 10 ** rng.randint(1, 5)))
    letters = "".join(rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(rng.randint(1, 3)))
    if form < 0.35:
        return "-".join(letters)
    return (letters + rng.choice(("", *PERSON_ENDINGS))).capitalize()
