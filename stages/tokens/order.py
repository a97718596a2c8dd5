"""The order of training: which row of which corpus comes at each place, computed for that place alone.

In: a seed, the rows of C corpora, their weights. Out: place -> row, for any place from 0 on, so that a training's position is one
number. Two rules make it:

- **Which corpus.** At each place the number of rows that a corpus has had is within one row of its share of all places so far.
  Shares are whole numbers of a period of Q places, at most PERIOD (weights such as 1/3 are rounded to that), and the turns of one
  period are laid out by Tijdeman's rule: among corpora that are due, the one whose next row may wait least.
- **Which of its rows.** Each epoch of each corpus has a permutation of its own (`shuffle.py`): every row once, then every row again.

Without weights a row of any corpus is as frequent as a row of any other. Source: Tijdeman 1980, "The chairman assignment problem",
Discrete Mathematics 32, theorem 1 (no corpus strays more than 1 - 1/(2C - 2) rows, the best that any rule can promise).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from stages.tokens.shuffle import key, shuffled
from storage.problem import Problem

I64 = npt.NDArray[np.int64]

PERIOD = 1 << 20


@dataclass(frozen=True)
class Order:
    """C corpora, a period of Q places."""

    seed: int
    names: tuple[str, ...]
    first: I64
    """First row of each corpus, [C]."""
    sizes: I64
    """Rows of each, [C]."""
    shares: I64
    """Of the period's places, [C]."""
    turns: npt.NDArray[np.int32]
    """The corpus at each place of the period, [Q]."""
    nth: npt.NDArray[np.int32]
    """How many of its rows came before in the period, [Q]."""

    def rows(self, places: I64) -> I64:
        """The row at each place, which may be in any order."""
        period, at = np.divmod(places, len(self.turns))
        corpus = self.turns[at]
        drawn = period * self.shares[corpus] + self.nth[at]
        epoch, place = np.divmod(drawn, self.sizes[corpus])
        rows = np.empty(len(places), np.int64)
        for c, e in sorted(set(zip(corpus.tolist(), epoch.tolist(), strict=True))):
            here = (corpus == c) & (epoch == e)
            rows[here] = self.first[c] + shuffled(place[here], int(self.sizes[c]), key(self.seed, self.names[c], e))
        return rows

    def epochs(self, place: int) -> dict[str, float]:
        """How often the rows of each corpus were seen before `place`, on average."""
        period, at = divmod(place, len(self.turns))
        drawn = period * self.shares + np.bincount(self.turns[:at], minlength=len(self.names))
        return {name: float(seen) for name, seen in zip(self.names, drawn / self.sizes, strict=True)}


def order(seed: int, corpora: Mapping[str, range], weights: Mapping[str, float]) -> Order:
    """`corpora`: name -> its rows; `weights`: name -> its part of all rows, of whatever sum; empty: as the corpora are large. Raises
    Problem where weights are not one for each corpus."""
    names = tuple(sorted(corpora))
    sizes = np.array([len(corpora[name]) for name in names])
    shares = _shares(tuple(map(Fraction, sizes.tolist())) if not weights else _given(weights, names))
    turns, nth = _turns(shares)
    return Order(seed, names, np.array([corpora[name].start for name in names]), sizes, shares, turns, nth)


def _given(weights: Mapping[str, float], names: tuple[str, ...]) -> tuple[Fraction, ...]:
    if sorted(weights) != list(names):
        raise Problem(
            f"found mixture weights for {', '.join(sorted(weights))}, expected one for each packed corpus: {', '.join(names)}; to leave a "
            "corpus out, pack without it"
        )
    wrong = {name: weight for name, weight in weights.items() if not 0 < weight < float("inf")}
    if wrong:
        raise Problem(f"found the mixture weights {wrong}, expected positive numbers; to leave a corpus out, pack without it")
    return tuple(Fraction(str(weights[name])) for name in names)


def _shares(weights: tuple[Fraction, ...]) -> I64:
    """Whole numbers that stand to one another as the weights do; where their sum would pass PERIOD, rounded to that sum."""
    whole = [int(weight * lcm(*(one.denominator for one in weights))) for weight in weights]
    whole = [number // gcd(*whole) for number in whole]
    if sum(whole) <= PERIOD:
        return np.array(whole)
    exact = [Fraction(number * PERIOD, sum(whole)) for number in whole]
    shares = [max(1, int(share)) for share in exact]
    for _ in range(abs(PERIOD - sum(shares))):  # those that lost most get one more; or, after many tiny ones, the largest gives
        i = max(range(len(shares)), key=lambda i: (exact[i] - shares[i], -i) if sum(shares) < PERIOD else (shares[i], -i))
        shares[i] += 1 if sum(shares) < PERIOD else -1
    return np.array(shares)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _turns(shares: Any) -> Any:
    corpora, places = len(shares), shares.sum()
    turns, nth = np.zeros(places, np.int32), np.zeros(places, np.int32)
    drawn = np.zeros(corpora, np.int64)
    scale = max(1, 2 * corpora - 2)
    for place in range(places):
        chosen, least = -1, 0
        for corpus in range(corpora):
            behind = scale * (shares[corpus] * (place + 1) - places * drawn[corpus])
            if behind < places:
                continue  # not due
            slack = (scale - 1) * places - behind
            if chosen < 0 or slack * shares[chosen] < least * shares[corpus]:
                chosen, least = corpus, slack
        turns[place], nth[place] = chosen, drawn[chosen]
        drawn[chosen] += 1
    return turns, nth
