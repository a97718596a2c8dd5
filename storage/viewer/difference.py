"""What a stage did to a text: lines compared first, then the words of lines that were replaced.

A comparison is bounded: equal beginnings and ends are set aside, and where too much of the rest is alike (a page that repeats one line a
thousand times against another that does) the old text is shown as gone and the new one as new, which is true, only coarser.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

LONGEST = 200_000  # characters of each text that are compared
COSTLY = 100_000  # pairs of equal lines or words in all; at worst difflib takes about a second for them
CONTEXT = 2  # unchanged lines shown on each side of a change
_WORDS = re.compile(r"\S+\s*|\s+")


@dataclass(frozen=True)
class Piece:
    kind: str
    """same | gone | new | folded"""
    text: str
    lines: int = 0
    """Of a folded piece: how many unchanged lines it stands for."""


def difference(before: str, after: str) -> list[Piece]:
    """Pieces that, but for the folded ones, spell `before` without the new ones and `after` without the gone ones."""
    old = before[:LONGEST].splitlines(keepends=True)
    new = after[:LONGEST].splitlines(keepends=True)
    pieces: list[Piece] = []
    left = [COSTLY]
    parts = list(_compare(old, new, left))
    for index, (kind, a, b) in enumerate(parts):
        if kind == "equal":
            pieces += _folded(a, first=index == 0, last=index == len(parts) - 1)
        elif kind == "replace":
            pieces += _words("".join(a), "".join(b), left)
        else:
            pieces.append(Piece("gone", "".join(a)) if a else Piece("new", "".join(b)))
    return pieces


def _words(old: str, new: str, left: list[int]) -> Iterator[Piece]:
    for kind, a, b in _compare(_WORDS.findall(old), _WORDS.findall(new), left):
        if kind == "equal":
            yield Piece("same", "".join(a))
        else:
            if a:
                yield Piece("gone", "".join(a))
            if b:
                yield Piece("new", "".join(b))


def _folded(lines: Sequence[str], first: bool, last: bool) -> list[Piece]:
    head = 0 if first else CONTEXT
    tail = 0 if last else CONTEXT
    hidden = len(lines) - head - tail
    if hidden < 2:
        return [Piece("same", "".join(lines))]
    pieces = [
        Piece("same", "".join(lines[:head])),
        Piece("folded", "", hidden),
        Piece("same", "".join(lines[len(lines) - tail :]) if tail else ""),
    ]
    return [piece for piece in pieces if piece.text or piece.lines]


def _compare(old: Sequence[str], new: Sequence[str], left: list[int]) -> Iterator[tuple[str, Sequence[str], Sequence[str]]]:
    """(equal | replace | delete | insert, old, new); takes its cost from what is `left`."""
    shorter = min(len(old), len(new))
    head = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    tail = next((at for at in range(shorter - head) if old[-1 - at] != new[-1 - at]), shorter - head)
    if head:
        yield "equal", old[:head], new[:head]
    a, b = old[head : len(old) - tail], new[head : len(new) - tail]
    counts = Counter(b)
    cost = sum(counts[one] for one in a)
    if a and b and cost <= left[0]:
        left[0] -= cost
        for kind, a1, a2, b1, b2 in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
            yield kind, a[a1:a2], b[b1:b2]
    else:
        if a:
            yield "delete", a, ()
        if b:
            yield "insert", (), b
    if tail:
        yield "equal", old[len(old) - tail :], new[len(new) - tail :]
