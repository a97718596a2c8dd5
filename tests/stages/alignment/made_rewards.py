"""Rewards that a policy with random weights can learn in seconds; a module of its own, so that jobs find it by name."""

from collections.abc import Sequence
from typing import Any

LETTERS = "tests.stages.alignment.made_rewards:letters"


def letters(prompts: Sequence[str], completions: Sequence[str], **columns: Any) -> list[float]:
    """Share of the characters that are lower-case letters of English."""
    return [sum("a" <= one <= "z" for one in text) / max(1, len(text)) for text in completions]
