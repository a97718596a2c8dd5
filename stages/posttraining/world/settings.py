"""Settings of the world's conversations: how many of each kind, what is kept for tests, who the assistant is."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stages.posttraining.world.arithmetic import STEPS
from stages.stage import Config


class Counts(Config):
    """Conversations of each kind."""

    fact: int = Field(3500, ge=0)
    """Single questions about known facts."""
    multi_turn: int = Field(1500, ge=0)
    """Several questions in a row."""
    unknown: int = Field(4500, ge=0)
    """Questions about who or what does not exist."""
    arithmetic: int = Field(8000, ge=0)
    """Sums with worked steps. With half as many a very small model gets most of them right and is sure of none."""
    python: int = Field(2000, ge=0)
    """Spelling, counting and large sums through a tool."""
    search: int = Field(1500, ge=0)
    """Questions that are looked up."""
    idle: int = Field(500, ge=0)
    """Tools listed and not needed."""
    repeat: int = Field(2000, ge=0)
    """Texts to say again."""
    identity: int = Field(300, ge=0)
    """Questions about the assistant."""


class WorldConversationsConfig(Config):
    """How many conversations of each kind, and who the assistant is."""

    seed: int = Field(1, ge=0)
    """Of every draw."""
    counts: Counts = Counts()
    """Of training conversations."""
    steps: tuple[Annotated[int, Field(ge=1, le=20)], ...] = Field((*STEPS, *STEPS, 8), min_length=1)
    """Lengths of the sums for training, in turn: what is listed twice comes twice as often. A few are longer than what is tested, for
    reinforcement to begin from."""
    tests: int = Field(400, ge=0, le=100_000)
    """Test questions for each rate."""
    never_asked: float = Field(0.25, ge=0, lt=1)
    """Share of the (subject, attribute) pairs that are never asked in training."""
    attributes: tuple[str, ...] = ("town", "job", "pet", "food", "river", "good", "region")
    """What is asked about; km is left out, for numbers of roads are more than a very small model learns."""
    unknown_people: int = Field(2000, ge=0, le=4000)
    """Names of nobody, for training. With few, a model learns these by heart and makes things up about others."""
    unknown_towns: int = Field(100, ge=0, le=1000)
    """Names of no town, likewise."""
    test_people: int = Field(200, ge=0, le=4000)
    """Other names of nobody, for tests."""
    test_towns: int = Field(40, ge=0, le=1000)
    """Other names of no town, for tests."""
    name: str = Field("Winnow", min_length=1)
    """Of the assistant."""
    maker: str = Field("the Winnow project", min_length=1)
    """Who made it."""
    what: str = Field("a small language model", min_length=1)
    """What it is."""
    system: float = Field(0.2, ge=0, le=1)
    """Share of the conversations without tools that have a system message; those with tools always have."""
    longest: int = Field(256, ge=32, le=1 << 20)
    """Tokens of a conversation: longer ones, with search results, are not made."""
    hits: int = Field(2, ge=1, le=20)
    """Passages of a search result."""
    characters: int = Field(240, ge=50, le=10_000)
    """Of a search result."""
    validation: float = Field(0.01, ge=0, le=0.5)
    """Share of the training conversations that is kept for validation."""
