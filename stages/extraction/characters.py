"""What kind of character each code point of the Basic Multilingual Plane is, and its small letter, as tables for compiled code."""

import unicodedata

import numpy as np

OTHER, LETTER, CAPITAL, DIGIT, PUNCTUATION, COMMA, IDEOGRAPH = range(7)
_PLANE = 0x10000
_KINDS = {"Lu": CAPITAL, "Lt": CAPITAL, "Nd": DIGIT, **dict.fromkeys(("Ll", "Lm", "Lo", "Mn", "Mc"), LETTER)}
_COMMAS = ",،、，"


def _tables() -> tuple[np.ndarray, np.ndarray]:
    kinds = np.zeros(_PLANE, np.uint8)
    small = np.arange(_PLANE, dtype=np.uint16)
    for code in range(_PLANE):
        character = chr(code)
        category = unicodedata.category(character)
        kinds[code] = PUNCTUATION if category[0] == "P" else _KINDS.get(category, OTHER)
        if kinds[code] == CAPITAL:
            lower = character.lower()
            if len(lower) == 1:
                small[code] = ord(lower)
    for first, last in ((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7AF), (0xF900, 0xFAFF)):
        kinds[first : last + 1] = IDEOGRAPH
    for comma in _COMMAS:
        kinds[ord(comma)] = COMMA
    return kinds, small


KIND_OF, SMALL = _tables()
