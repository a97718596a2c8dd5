"""Sums of several steps, worked out before the answer: models need tokens to think.

    What is 12+4-3?   <think>12+4=16,16-3=13</think>13

Steps are of 1 to 9 and every sum lies within 0 and 29 (stages/simulation/school.py): sums of two digits are too hard for a network of
a million parameters. Two in five are told as a story about somebody. One problem in eight is kept for tests.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import accumulate, pairwise

from stages.posttraining.world.made import Made, exchange, reserved
from stages.simulation.school import COUNTED, chain

STEPS = (1, 2, 3, 5)
STORIES = 0.4
GAIN = ("{n} gets {b} more.", "{n} finds {b} more.")
LOSS = ("{n} gives away {b}.", "{n} loses {b}.")


def problem(rng: random.Random, steps: int, test: bool) -> tuple[int, list[int]]:
    while True:
        start, moves = chain(rng, steps)
        if reserved("chain", start, tuple(moves)) == test:
            return start, moves


def expression(start: int, moves: Sequence[int]) -> str:
    return f"{start}" + "".join(f"{move:+d}" for move in moves)


def worked(start: int, moves: Sequence[int]) -> str:
    totals = pairwise(accumulate([start, *moves]))
    return ",".join(f"{before}{move:+d}={after}" for (before, after), move in zip(totals, moves, strict=True))


def story(rng: random.Random, name: str, start: int, moves: Sequence[int]) -> str:
    item = rng.choice(COUNTED)
    told = [rng.choice(GAIN if move > 0 else LOSS).format(n=name, b=abs(move)) for move in moves]
    return " ".join([f"{name} has {start} {item}.", *told, f"How many {item} does {name} have now?"])


def arithmetic(people: Sequence[str], rng: random.Random, count: int, test: bool, lengths: Sequence[int] = STEPS) -> list[Made]:
    """As many of each number of steps."""
    made = []
    for number in range(count):
        steps = lengths[number % len(lengths)]
        start, moves = problem(rng, steps, test)
        told = people and rng.random() < STORIES
        question = story(rng, rng.choice(people), start, moves) if told else f"What is {expression(start, moves)}?"
        answer = str(start + sum(moves))
        part = f"{steps} step" + "s" * (steps > 1)
        made.append(Made(exchange(question, answer, worked(start, moves)), "arithmetic", part, answer))
    return made
