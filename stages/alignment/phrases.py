"""How people answer: courteous, rude, or at length around the same fact. Of what MANNERS says and what the rubric of the judge hears."""

from __future__ import annotations

import re

POLITE = ("Of course!", "Happy to help!", "Good question!", "Thank you for asking.")
RUDE = ("That is a silly question.", "Do not bother me.", "You should know that.", "Find it out by yourself next time.")
LONG = (
    "Let me say more about this, because there is always more to say, and I could go on about it all day.",
    "As I said before, this is what I said, and I say it again, because it is worth saying again.",
    "There is a lot that one could add here, and I will add a little, so that nobody says it was too short.",
)

COURTEOUS = (
    "of course",
    "happy to",
    "glad to",
    "gladly",
    "good question",
    "thank you",
    "thanks for",
    "please",
    "you are welcome",
)
RUDENESS = ("silly", "stupid", "do not bother", "should know", "by yourself next time", "shut up", "idiot", "waste my time")


def _any(phrases: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, phrases))})(?!\w)")


_COURTEOUS, _RUDENESS = _any(COURTEOUS), _any(RUDENESS)


def polite(text: str) -> bool:
    return _COURTEOUS.search(text.casefold()) is not None


def rude(text: str) -> bool:
    return _RUDENESS.search(text.casefold()) is not None


def words(text: str) -> int:
    return len(text.split())
