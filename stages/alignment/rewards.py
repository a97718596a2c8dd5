"""Rewards that can be verified: plain functions of what was asked and what was answered.

    f(prompts, completions, **columns) -> rewards

`prompts` and `completions` are texts, one of each for every answer: what the user said last, and the answer as a person reads it, thoughts
between `<think>` and `</think>`. `columns` has lists as long: those of the problems (`expected`, `part`, ...) and of the answer

| column | |
|---|---|
| answer | what was said last, without thoughts |
| thinking | all that was thought; null where nothing was |
| finished | whether the turn was ended, rather than the room for it |
| faults | what is not in the layout of chats (models/chat/generated.py), a list |
| tokens | number of them |

| reward | value |
|---|---|
| answer | 1 where the answer is the expected number, and finished; else 0 |
| format | 1 where there is one thought, then an answer outside it, and the turn is ended; else 0 |
| length | 0 up to `longest` - `soft` tokens, from there falling to -1 at `longest` (Yu et al. 2025, DAPO, equation 13) |

A function of somebody's own is named as `module:function`; the artifact knows it by that name alone, so one that changes is given another.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from stages.alignment.numbers import same_number
from storage.problem import Problem

Reward = Callable[..., Sequence[float]]


def answer(
    prompts: Sequence[str],
    completions: Sequence[str],
    *,
    answer: Sequence[str],
    finished: Sequence[bool],
    expected: Sequence[str],
    **columns: Any,
) -> list[float]:
    return [float(ended and same_number(said, right)) for said, ended, right in zip(answer, finished, expected, strict=True)]


def format(
    prompts: Sequence[str],
    completions: Sequence[str],
    *,
    answer: Sequence[str],
    thinking: Sequence[str | None],
    finished: Sequence[bool],
    faults: Sequence[Sequence[str]],
    **columns: Any,
) -> list[float]:
    return [
        float(bool(ended and (thought or "").strip() and said.strip() and not wrong))
        for said, thought, ended, wrong in zip(answer, thinking, finished, faults, strict=True)
    ]


def length(
    prompts: Sequence[str], completions: Sequence[str], *, tokens: Sequence[int], longest: int, soft: int, **columns: Any
) -> list[float]:
    return [min(0.0, max(-1.0, (longest - soft - count) / soft)) for count in tokens]


def reward_functions(names: Mapping[str, float], longest: int, soft: int) -> dict[str, Reward]:
    """By name. Raises Problem for a name that is none."""
    known: dict[str, Reward] = {"answer": answer, "format": format, "length": partial(length, longest=longest, soft=soft)}
    return {name: known[name] if name in known else _imported(name, list(known)) for name in names}


def _imported(name: str, known: Sequence[str]) -> Reward:
    module, _, function = name.partition(":")
    try:
        found: Reward = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise Problem(
            f"there is no reward {name!r} ({error}); expected one of {', '.join(known)}, or module:function of your own"
        ) from error
    if not callable(found):
        raise Problem(
            f"the reward {name!r} is {type(found).__name__}; expected a function f(prompts, completions, **columns) -> rewards"
        )
    return found
