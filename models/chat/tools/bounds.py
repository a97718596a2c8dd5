"""How large a value of the calculator may be. With a bound on every value and on the length of an expression, no evaluation takes long.

A value is a number, a text, or a list or tuple of these; a bound that is broken raises Refused, whose text is for the model.
"""

from __future__ import annotations

import math
from typing import Any

DIGITS = 1_000
BITS = int(DIGITS * math.log2(10))
CHARACTERS = 10_000
ITEMS = 1_000


class Refused(ValueError):
    """What was asked is not computed; its text says why."""


def bounded(value: Any) -> Any:
    """`value`, if it is one and not too large."""
    if isinstance(value, list | tuple):
        within(len(value), ITEMS, "items")
        if any(isinstance(item, list | tuple) for item in value):
            raise Refused("a list holds numbers and texts, no other list")
        within(sum(_size(bounded(item)) for item in value), CHARACTERS, "characters")
    elif isinstance(value, str):
        within(len(value), CHARACTERS, "characters")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise Refused("half a surrogate pair is no character")
    elif isinstance(value, int):
        narrow(value.bit_length())
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise Refused("the number is not finite")
    else:
        raise Refused(f"a {type(value).__name__} is no number, text or list")
    return value


def within(found: int, most: int, what: str) -> int:
    if found > most:
        raise Refused(f"at most {most:,} {what} are allowed")
    return found


def narrow(bits: int) -> None:
    """A whole number of so many bits is not too large."""
    if bits > BITS:
        raise Refused(f"a number has at most {DIGITS:,} digits")


def _size(item: int | float | str) -> int:
    """Characters that the item takes to write, about."""
    if isinstance(item, str):
        return len(item) + 4
    return item.bit_length() // 3 + 4 if isinstance(item, int) else 24
