"""Canonical JSON: one value, one text, so that a digest of the text identifies the value.

Sorted keys, no white space, UTF-8. Anything without one stable form is refused: NaN and infinities, sets, bytes, paths, dates,
callables, keys that are not strings. Integral floats keep their point (1.0 and 1 are different values, as in Python's json).
"""

import hashlib
import json
import math
from typing import Any


def canonical(value: Any) -> str:
    """`value` as canonical JSON. Raises TypeError or ValueError, naming the place, for what has no stable form."""
    _check(value, "$")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any, length: int = 64) -> str:
    """First `length` hex digits of sha256 over the canonical JSON of `value`."""
    return hashlib.sha256(canonical(value).encode("utf-8")).hexdigest()[:length]


def _check(value: Any, where: str) -> None:
    if value is None or type(value) in (bool, int, str):
        return
    if type(value) is float:
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}, which has no canonical form; give a finite number or null")
        return
    if type(value) in (list, tuple):
        for index, item in enumerate(value):
            _check(item, f"{where}[{index}]")
        return
    if type(value) is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise TypeError(f"{where} has the key {key!r} of type {type(key).__name__}; keys must be strings")
            _check(item, f"{where}.{key}")
        return
    raise TypeError(
        f"{where} is a {type(value).__name__} ({value!r:.80}), which has no canonical form; "
        "use null, booleans, numbers, strings, lists and dicts of them"
    )
