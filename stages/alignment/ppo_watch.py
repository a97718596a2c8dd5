"""When a policy must be stopped: it pleases the reward model and nobody else, or has gone too far from where it began.

In: figures of each round so far: reward (the reward model's score), judge (null where nobody watches), divergence (nats per answer), length
(tokens). Rules: stages/alignment/ppo.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.unusable import Unusable
from stages.alignment.ppo import PpoConfig

Round = Mapping[str, float]


class Hacked(Unusable):
    """The run must stop."""


def means(rounds: Sequence[Round]) -> dict[str, float]:
    return {name: sum(one[name] for one in rounds) / len(rounds) for name in rounds[0]}


def windows(rounds: Sequence[Round], size: int) -> list[dict[str, float]]:
    """Means of every run of `size` rounds, the newest last; none while there are fewer rounds."""
    return [means(rounds[end - size : end]) for end in range(size, len(rounds) + 1)]


def best(rounds: Sequence[Round], size: int) -> bool:
    """Whether the newest window is the best so far by the judge; without a judge the newest always is."""
    found = windows(rounds, size)
    return bool(found) and ("judge" not in found[-1] or found[-1]["judge"] >= max(one["judge"] for one in found))


def complaint(rounds: Sequence[Round], config: PpoConfig) -> str | None:
    """What is wrong, if anything."""
    last = rounds[-1]
    if last["divergence"] > config.kl_limit:
        return f"an answer is {last['divergence']:.1f} nats from the first model; expected at most {config.kl_limit:g} (kl_limit)"
    found = windows(rounds, config.window)
    if not found:
        return None
    first, now = found[0], found[-1]
    if now["length"] > config.length_limit * first["length"]:
        return (
            f"answers have {now['length']:.0f} tokens, at first {first['length']:.0f}; expected at most {config.length_limit:g} times as many "
            "(length_limit)"
        )
    if "judge" not in now:
        return None
    top = max(found, key=lambda one: one["judge"])
    if top["judge"] - now["judge"] > config.judge_drop and now["reward"] >= top["reward"]:
        return (
            f"the judge's score has fallen from {top['judge']:.2f} to {now['judge']:.2f} while the reward model's went from {top['reward']:.2f} to "
            f"{now['reward']:.2f}: the policy has found what the reward model overrates (judge_drop {config.judge_drop:g})"
        )
    return None
