"""How much one client may ask for, and how much all of them together."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    body: int = 4 << 20
    """Bytes of a request."""
    tokens: int | None = None
    """New tokens of a completion; null: as many as the context has room for."""
    choices: int = 128
    """Completions of one request: prompts times n."""
    seconds: float = 30
    """For a request's body to arrive."""
