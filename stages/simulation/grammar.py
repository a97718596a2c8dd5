"""A small generative grammar: templates with alternatives, slots and words, and a pen that does not say the same thing twice.

Template: `[one|two|]` picks an alternative (an empty one leaves the words out), `{slot}` takes a value given by the caller, `<word>`
takes one of WORDS, and all nest. A sentence begins with a capital whatever it begins with.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from functools import cache

Node = str | tuple[str, str] | tuple["Tree", ...]
"""A literal, a slot or word as (mark, name), or the alternatives, each a tree."""
Tree = list[Node]

WORDS: dict[str, list[str]] = {
    name: values.split("|")
    for name, values in {
        "day": "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday",
        "month": "January|February|March|April|May|June|July|August|September|October|November|December",
        "season": "spring|summer|autumn|winter",
        "place": "market|bridge|mill|old well|town hall|school|square|chapel|north gate|inn|bath house|library|post office",
        "building": "mill|town hall|school|chapel|inn|bath house|library|post office",
        "colour": "red|blue|green|white|yellow|grey|brown|black",
        "size": "small|large|narrow|wide|low|tall|little",
        "count": "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty",
        "few": "two|three|four|five|six",
        "weather": "rain|wind|snow|fog|heat|frost|storm",
        "wild": "stormy|rainy|snowy|foggy|cold|moonless",
        "sky": "clear|grey|pale|dark|bright|low|golden",
        "mood": "happy|tired|proud|quiet|cheerful|calm|curious|patient|busy|hopeful",
        "friend": "friend|neighbour|cousin|guest|colleague",
        "good": "good|fine|honest|careful|skilled|patient|respected|reliable|popular",
        "often": "often|always|usually|sometimes",
        "time": "in the morning|at noon|in the evening|before breakfast|after dark|late in the day|early in the week",
        "when": "one morning|last week|yesterday|on <day>|one evening in <month>|at the end of <month>|a few days ago|last <season>",
        "meal": "breakfast|lunch|supper|dinner",
        "kin": "mother|father|uncle|aunt|sister|brother|grandmother|grandfather",
        "thing": "basket|coat|lamp|letter|hat|bag|cart|chair|kettle|book|key|blanket|ladder|cup",
        "noise": "ringing|music|laughter|hammering|singing|shouting|rain on the roof",
        "child": "child|baby|pupil|small child|young traveller",
    }.items()
}
TOKEN = re.compile(r"([\[\]|]|\{\w+\}|<\w+>)")


@cache
def parse(template: str) -> Tree:
    """The tree of a template."""
    stack: list[list[Tree]] = [[[]]]
    for token in TOKEN.split(template):
        if token == "[":
            stack.append([[]])
        elif token == "|":
            stack[-1].append([])
        elif token == "]":
            alternatives = tuple(stack.pop())
            stack[-1][-1].append(alternatives)
        elif token[:1] in ("{", "<"):
            stack[-1][-1].append((token[0], token[1:-1]))
        elif token:
            stack[-1][-1].append(token)
    if len(stack) != 1 or len(stack[0]) != 1:
        raise ValueError(f"unbalanced brackets in the template {template!r}: each [ needs its ], and | stands inside them")
    return stack[0][0]


def write(tree: Tree, slots: Mapping[str, str], rng: random.Random, out: list[str]) -> None:
    """Append to `out` what the tree says."""
    for node in tree:
        if isinstance(node, str):
            out.append(node)
        elif node[0] == "{":
            out.append(slots[str(node[1])])
        elif node[0] == "<":
            words = WORDS[str(node[1])]
            write(parse(words[int(rng.random() * len(words))]), slots, rng, out)
        else:
            write(node[int(rng.random() * len(node))], slots, rng, out)  # type: ignore[arg-type]


class Pen:
    """Writes one page: draws from `rng`, and repeats no template and no detail while others are left."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.used: set[str] = set()

    def fill(self, template: str, slots: Mapping[str, str] | None = None) -> str:
        out: list[str] = []
        write(parse(template), slots or {}, self.rng, out)
        self.used.update(out)
        text = "".join(out)
        return text[:1].upper() + text[1:]

    def say(self, stock: Sequence[str], slots: Mapping[str, str] | None = None) -> str:
        """A sentence from the stock, by a template that this page has not had yet where there is one."""
        start = int(self.rng.random() * len(stock))
        fresh = (stock[(start + step) % len(stock)] for step in range(len(stock)))
        template = next((t for t in fresh if t not in self.used), stock[start])
        self.used.add(template)
        return self.fill(template, slots)

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability
