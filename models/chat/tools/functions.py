"""The functions that an expression may call, by name, and the two constants. All are bounded before they begin (models/chat/tools/bounds.py).

| for | functions |
|---|---|
| numbers | abs round min max sum mean prod pow divmod int float sqrt isqrt floor ceil exp log log2 log10 sin cos tan asin acos atan atan2 degrees radians hypot gcd lcm factorial comb perm bin hex |
| text | str len count upper lower title strip reverse spell letter letters words join replace find startswith endswith ord chr |
| lists | len count sorted reverse range any all |

`spell("owl")` is "o-w-l"; `letter("owl", 1)` is "o"; `letters`, `words` are lists; `count` and `find` take a part of a text, or an item
of a list (`find`: -1 where there is none). There are no methods: `count(text, part)` stands for `text.count(part)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from models.chat.tools.bounds import CHARACTERS, ITEMS, Refused, narrow, within

Sequence = str | list[Any] | tuple[Any, ...]


def power(base: Any, exponent: Any) -> Any:
    if isinstance(base, int) and isinstance(exponent, int) and exponent > 0 and abs(base) > 1:
        narrow((abs(base).bit_length() - 1) * exponent)
    result = base**exponent
    if isinstance(result, complex):
        raise Refused("the result is not a real number")
    return result


def rounded(number: Any, places: int = 0) -> Any:
    within(abs(_whole(places)), 400, "decimal places")
    return round(number, places) if places else round(number)


def factorial(number: int) -> int:
    return math.factorial(within(_whole(number), ITEMS, "factors"))


def combinations(number: int, taken: int) -> int:
    return math.comb(within(_whole(number), 4 * ITEMS, "things"), _whole(taken))


def permutations(number: int, taken: int | None = None) -> int:
    return math.perm(within(_whole(number), 4 * ITEMS, "things"), taken)


def multiple(*integers: int) -> int:
    least = 1
    for integer in integers:
        least = math.lcm(least, integer)
        narrow(least.bit_length())
    return least


def total(items: Sequence) -> Any:
    return sum(_sequence(items))


def mean(items: Sequence) -> float:
    if not _sequence(items):
        raise Refused("the mean of nothing is not defined")
    return sum(items) / len(items)


def numbers(*limits: int) -> list[int]:
    span = range(*limits)
    if span[ITEMS : ITEMS + 1]:
        raise Refused(f"at most {ITEMS:,} items are allowed")
    return list(span)


def count(where: Sequence, part: Any) -> int:
    times: int = _sequence(where).count(part)
    return times


def find(where: Sequence, part: Any) -> int:
    """Place from 0, or -1."""
    if isinstance(where, str):
        return where.find(part)
    return where.index(part) if part in _sequence(where) else -1


def reverse(what: Sequence) -> Any:
    return _sequence(what)[::-1]


def letters(text: str) -> list[str]:
    within(len(_text(text)), ITEMS, "items")
    return list(text)


def letter(text: str, place: int) -> str:
    """The letter at this place, from 1."""
    if not 1 <= _whole(place) <= len(_text(text)):
        raise Refused(f"there is no letter {place} in a text of {len(text)}")
    return text[place - 1]


def join(items: Sequence, between: str = "") -> str:
    within(len(_sequence(items)) * len(_text(between)), CHARACTERS, "characters")
    return between.join(str(item) for item in items)


def replace(text: str, old: str, new: str) -> str:
    within(_text(text).count(_text(old)) * len(_text(new)), CHARACTERS, "characters")
    return text.replace(old, new)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Refused(f"expected a text, found {value!r:.40}")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int):
        raise Refused(f"expected a whole number, found {value!r:.40}")
    return value


def _sequence(value: Any) -> Any:
    if not isinstance(value, str | list | tuple):
        raise Refused(f"expected a text or a list, found {value!r:.40}")
    return value


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "abs": abs, "round": rounded, "min": min, "max": max, "sum": total, "mean": mean, "prod": math.prod, "pow": power,
    "divmod": divmod, "int": lambda value: int(value), "float": lambda value: float(value),
    "sqrt": math.sqrt, "isqrt": math.isqrt, "floor": math.floor, "ceil": math.ceil, "exp": math.exp, "log": math.log,
    "log2": math.log2, "log10": math.log10, "sin": math.sin, "cos": math.cos, "tan": math.tan, "asin": math.asin,
    "acos": math.acos, "atan": math.atan, "atan2": math.atan2, "degrees": math.degrees, "radians": math.radians,
    "hypot": math.hypot, "gcd": math.gcd, "lcm": multiple, "factorial": factorial, "comb": combinations, "perm": permutations,
    "bin": bin, "hex": hex,
    "str": lambda value: str(value), "len": len, "count": count, "upper": lambda text: _text(text).upper(),
    "lower": lambda text: _text(text).lower(), "title": lambda text: _text(text).title(),
    "strip": lambda text: _text(text).strip(), "reverse": reverse, "spell": lambda text: "-".join(_text(text)),
    "letter": letter, "letters": letters, "words": lambda text: _text(text).split(), "join": join, "replace": replace,
    "find": find, "startswith": lambda text, part: _text(text).startswith(_text(part)),
    "endswith": lambda text, part: _text(text).endswith(_text(part)), "ord": ord, "chr": chr,
    "sorted": lambda items: sorted(_sequence(items)), "range": numbers, "any": any, "all": all,
}  # fmt: skip

CONSTANTS: Mapping[str, float] = {"pi": math.pi, "e": math.e}
