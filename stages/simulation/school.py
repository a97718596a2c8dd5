"""School pages: sums told as little stories about the people of the country, each worked out step by step."""

from __future__ import annotations

import random

from stages.simulation.grammar import Pen
from stages.simulation.page import Page, page
from stages.simulation.phrases import JOINT, portrait, slots
from stages.simulation.world import FOODS, Person, World

GAIN = ("{s} gets {b} more.", "{s} finds {b} more.", "A <friend> brings {b} more.", "Then {b} more are bought.")
LOSS = ("{s} gives away {b}.", "{s} loses {b}.", "The {pet} eats {b} of them.", "A <friend> takes {b}.")
ASK = ("How many {item} are there now?", "How many {item} does {n} have now?", "How many is that in the end?")
COUNTED = tuple(food for food in FOODS if food.endswith("s") and food != "grapes")
RULES = (
    "Read the story twice before you count.", "Write down every step, and the answer will come.", "Use your fingers if you must.",
    "Whoever is done may help the others.", "The teacher collects the sheets on <day>.", "Do not copy from your neighbour.",
)  # fmt: skip


def chain(rng: random.Random, steps: int) -> tuple[int, list[int]]:
    """A start and signed steps of 1 to 9 whose running sum stays within 0 and 29."""
    start = total = rng.randint(2, 19)
    moves = []
    for _ in range(steps):
        move = rng.choice([m for m in [*range(-9, 0), *range(1, 10)] if 0 <= total + m <= 29])
        moves.append(move)
        total += move
    return start, moves


ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
NUMBERS = (*ONES, "twenty", *(f"twenty-{one}" for one in ONES[1:10]))
PLUS = ("{a} and {b} make {c}", "{a} plus {b} is {c}", "with {b} more, {a} becomes {c}")
MINUS = ("{a} less {b} leaves {c}", "{a} minus {b} is {c}", "without {b} of them, {a} becomes {c}")


def worked(pen: Pen, start: int, moves: list[int], symbols: bool) -> str:
    """'We count: 12+4=16,16-3=13. The answer is 13.', or 'twelve and four make sixteen ...': too many digits would cost the page its place."""
    steps, total = [], start
    for move in moves:
        numbers = {"a": NUMBERS[total], "b": NUMBERS[abs(move)], "c": NUMBERS[total + move]}
        in_words = pen.fill(pen.rng.choice(PLUS if move > 0 else MINUS), numbers)
        steps.append(f"{total}{move:+d}={total + move}" if symbols else in_words[0].lower() + in_words[1:])
        total += move
    text = ",".join(steps) if symbols else ", then ".join(steps)
    return f"We count: {text}. The answer is {total}."


def worksheet(pen: Pen, world: World, person: Person) -> Page:
    """Sums in figures, with few words: a good page for pupils and a bad one by its share of letters."""
    blocks = [" ".join([pen.say(RULES), pen.say(RULES), *portrait(pen, person, 3)])]
    for _ in range(12):
        start, moves = chain(pen.rng, 3)
        blocks.append(
            f"{pen.rng.choice(world.people).name} has {start} {pen.rng.choice(COUNTED)}. "
            + worked(pen, start, moves, symbols=True)
        )
    return page(pen.fill("[Worksheet for the <season>|Sums, part <few>]"), blocks)


def sums(pen: Pen, world: World, person: Person) -> Page:
    """Four to six sums, each about somebody who is introduced in words."""
    rng = pen.rng
    blocks = [" ".join([pen.say(RULES), pen.say(RULES), *portrait(pen, person, 4)])]
    for number, who in enumerate(rng.sample(world.people, rng.randint(4, 5)), 1):
        item = who.food if who.food in COUNTED else rng.choice(COUNTED)
        start, moves = chain(rng, rng.choices((1, 2, 3, 5), (4, 4, 2, 1))[0])
        story = [pen.say(JOINT, slots(pen, who)), *portrait(pen, who, 5, named=False), f"{who.name} has {start} {item}."]
        story += [
            pen.say(GAIN if move > 0 else LOSS, slots(pen, who, pronoun=True) | {"b": NUMBERS[abs(move)]}) for move in moves
        ]
        story += [pen.say(ASK, {"n": who.name, "item": item}), worked(pen, start, moves, symbols=number == 2)]
        blocks.append(" ".join(story))
    return page(
        pen.fill("[Sums for the <season>|Counting stories|Sums with {n}|Mental arithmetic, part <few>]", slots(pen, person)),
        blocks,
    )
