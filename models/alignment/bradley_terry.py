"""Ratings from pairwise comparisons (Bradley and Terry 1952): P(i beats j) = sigmoid(r_i - r_j).

In: `wins[i, j]`, how often i beat j; a tie is half a win of each. Out: the ratings of greatest likelihood, their mean zero, in nats; or on
the scale of chess (Elo 1978), where 400 points are odds of ten to one. Between any two that have met, `prior` games are added, half won
by each: who has never lost would have no finite rating. Several tables at once, such as bootstrap samples, are rated at once.

K samples, M competitors.
"""

import math

import torch
from torch import Tensor

from models.unusable import Unusable

PRIOR = 1.0
_STEPS = 100
_EXACT = 1e-10


def ratings(wins: Tensor, prior: float = PRIOR) -> Tensor:
    """[..., M] of `wins` [..., M, M]; fp64. Newton's method. Raises Unusable where not all are joined by games."""
    wins = wins.double()
    met = wins + wins.mT
    met.diagonal(dim1=-2, dim2=-1).zero_()
    if not bool(_joined(met).all()):
        raise Unusable(
            "the competitors fall into groups that have never met, whose ratings cannot be compared; expected games that join all of them"
        )
    games = met + prior * (met > 0)
    won = (wins * (met > 0) + prior / 2 * (met > 0)).sum(-1)
    M = wins.shape[-1]
    found = torch.zeros(wins.shape[:-1], dtype=torch.float64)
    level = torch.full((M, M), 1.0 / M, dtype=torch.float64)  # makes the Hessian regular and keeps the mean
    for _ in range(_STEPS):
        share = torch.sigmoid(found[..., :, None] - found[..., None, :])
        slope = won - (games * share).sum(-1)
        curve = games * share * (1 - share)
        hessian = torch.diag_embed(curve.sum(-1)) - curve + level
        step = torch.linalg.solve(hessian, slope)
        # A full step may overshoot where one competitor wins nearly always; nobody moves by more than a nat or two at once.
        step = step * (2.0 / step.abs().amax(-1, keepdim=True).clamp_min(2.0))
        found = found + step
        if float(step.abs().max()) < _EXACT:
            break
    return found - found.mean(-1, keepdim=True)


def elo(ratings: Tensor, mean: float = 1000.0) -> Tensor:
    return mean + 400 / math.log(10) * ratings


def _joined(met: Tensor) -> Tensor:
    """[...]: whether everybody can be reached from everybody over games."""
    M = met.shape[-1]
    reached = (met > 0).double() + torch.eye(M, dtype=torch.float64)
    for _ in range(max(1, M.bit_length())):
        reached = ((reached @ reached) > 0).double()
    return (reached > 0).all(-1).all(-1)
