"""Numbers in answers: which one an answer comes to, and whether two are the same.

    "13"   "13."   "$1,200"   "... so 48+24 = 72.\\n#### 72"      ->      "13"   "13"   "1200"   "72"

An answer is its number alone, or what stands behind its last `####`, as in GSM8K (Cobbe et al. 2021). A number somewhere in a sentence is
none: a reward that took it would teach to name many.
"""

from __future__ import annotations

import re
from fractions import Fraction

MARK = "####"
LONGEST = 300
"""Characters of a number: a model that says one digit for ever says none."""
_NUMBER = re.compile(r"[$€£]?\s*([-+−]?)[$€£]?\s*(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?\s*%?\.?")


def final_number(answer: str) -> str | None:
    """Digits, a sign, a point; null where the answer is no number."""
    said = answer.rpartition(MARK)[2].strip()
    found = _NUMBER.fullmatch(said) if len(said) <= LONGEST else None
    if found is None:
        return None
    sign, whole, part = found.groups()
    return ("-" if sign in ("-", "−") else "") + whole.replace(",", "") + (part or "")


def same_number(answer: str, expected: str) -> bool:
    """As numbers: 12.50 is 12.5. Raises ValueError where `expected` is none."""
    found = final_number(answer)
    return found is not None and Fraction(found) == Fraction(expected)
