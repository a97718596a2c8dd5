"""Rewards that a policy with random weights can learn in seconds; a module of its own, so that jobs find it by name."""

from collections.abc import Sequence
from typing import Any

EQUAL = "tests.stages.alignment.made_rewards:equal"
LETTERS = "tests.stages.alignment.made_rewards:letters"


def letters(prompts: Sequence[str], completions: Sequence[str], **columns: Any) -> list[float]:
    """Share of the characters that are lower-case letters of English."""
    return [sum("a" <= one <= "z" for one in text) / max(1, len(text)) for text in completions]


def equal(prompts: Sequence[str], completions: Sequence[str], **columns: Any) -> list[float]:
    """None is better than another."""
    return [0.1] * len(prompts)


def too_few(prompts: Sequence[str], completions: Sequence[str], **columns: Any) -> list[float]:
    return [0.1]


def no_number(prompts: Sequence[str], completions: Sequence[str], **columns: Any) -> list[float]:
    return [float("nan"), *([0.1] * (len(prompts) - 1))]


def nothing(prompts: Sequence[str], completions: Sequence[str], **columns: Any) -> Any:
    return None
