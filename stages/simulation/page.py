"""A page before it becomes HTML: a title and blocks of text, and how sentences are gathered into paragraphs."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

Block = tuple[str, str]
"""(tag, text): h2, p, li, pre, or `post` ("author\\ntext" of a forum)."""


@dataclass(frozen=True)
class Page:
    title: str
    blocks: tuple[Block, ...]

    @property
    def text(self) -> str:
        """The main text that a perfect extractor returns: title and blocks, a blank line between them."""
        return "\n\n".join([self.title, *(text for _, text in self.blocks)])


def page(title: str, blocks: Iterable[Block | str]) -> Page:
    """A page from blocks; a bare string is a paragraph."""
    return Page(title, tuple(("p", block) if isinstance(block, str) else block for block in blocks))


def paragraphs(rng: random.Random, sentences: list[str], shortest: int = 2, longest: int = 5) -> list[str]:
    """The sentences in order, gathered into paragraphs of `shortest` to `longest` sentences."""
    out, at = [], 0
    while at < len(sentences):
        size = rng.randint(shortest, longest)
        out.append(" ".join(sentences[at : at + size]))
        at += size
    return out
