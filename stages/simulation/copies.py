"""Copies of a page: exact ones, and near ones with so few edits that most 5-word shingles stay (Jaccard about .85 to .97)."""

from __future__ import annotations

import random
import re

from stages.simulation.page import Block, Page

SWAPS = {
    "often": "frequently", "big": "large", "large": "big", "small": "little", "every day": "each day", "likes": "enjoys", "town": "city",
    "people": "folk", "house": "home", "road": "way", "never": "not once", "loves": "adores", "evening": "night", "animal": "creature",
}  # fmt: skip
NOTES = (
    "This text was first printed elsewhere.",
    "Copied with kind permission of the author.",
    "Found in an old newspaper and shared here.",
    "Source: a friend of this site.",
)


def near_copy(page: Page, rng: random.Random) -> Page:
    """The page with about one swapped word per 150, and a note added or one long paragraph's last sentence gone."""
    words = len(page.text.split())
    blocks: list[Block] = list(page.blocks)
    for _ in range(max(1, words // 150)):
        at = rng.randrange(len(blocks))
        tag, text = blocks[at]
        word = rng.choice(list(SWAPS))
        blocks[at] = (tag, re.sub(rf"\b{word}\b", SWAPS[word], text, count=1))
    if rng.random() < 0.5:
        blocks.append(("p", rng.choice(NOTES)))
    else:
        at = max(range(len(blocks)), key=lambda i: len(blocks[i][1]))
        tag, text = blocks[at]
        shorter = re.sub(r"(?<=[.!?]) [^.!?]{10,120}[.!?]$", "", text)
        blocks[at] = (tag, shorter)
    return Page(page.title, tuple(blocks))
