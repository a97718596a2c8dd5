"""Near copies of a page (Jaccard of 5-word shingles .85 to .97), and shortened ones (about .65), which MinHash may miss."""

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


def exact(page: Page, rng: random.Random) -> Page:
    return page


def shortened(page: Page, rng: random.Random) -> Page:
    """The page without about every fourth sentence."""

    def some(text: str) -> str:
        first, *rest = re.split(r"(?<=[.!?]) ", text)
        return " ".join([first, *(sentence for sentence in rest if rng.random() > 0.25)])

    return Page(page.title, tuple((tag, some(text)) for tag, text in page.blocks))


def near_copy(page: Page, rng: random.Random) -> Page:
    """The page with a word swapped in each 150 or so, and a note added or the end of the longest paragraph gone."""
    blocks: list[Block] = list(page.blocks)
    for _ in range(1 + len(page.text.split()) // 150):
        at = rng.randrange(len(blocks))
        tag, text = blocks[at]
        word = rng.choice(list(SWAPS))
        blocks[at] = (tag, re.sub(rf"\b{word}\b", SWAPS[word], text, count=1))
    if rng.random() < 0.5:
        return Page(page.title, (*blocks, ("p", rng.choice(NOTES))))
    at = max(range(len(blocks)), key=lambda i: len(blocks[i][1]))
    tag, text = blocks[at]
    blocks[at] = (tag, re.sub(r"(?<=[.!?]) [^.!?]{10,120}[.!?]$", "", text))
    return Page(page.title, tuple(blocks))
