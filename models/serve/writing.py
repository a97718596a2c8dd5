"""The text of one completion while it is written, without the stop string that ends it.

In: the tokens, each with its log-probability. Out: `Part`s: pieces of text (what, text), and the tokens whose text is in what was given
so far. What may be the beginning of a stop string is held back until it is known. Stop strings are looked for in what is said (content)
alone, never in thoughts, calls and results, and never across them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from models.chat.reader import Piece, Reader
from models.serve.vocabulary import Entry
from models.tokenizer.stream import Pieces, TextStream
from models.tokenizer.tokenizer import Tokenizer

CONTENT = "content"


@dataclass
class Part:
    pieces: list[tuple[str, str]] = field(default_factory=list)
    entries: list[tuple[int, Entry]] = field(default_factory=list)
    """Each with the character of the content at which it begins."""

    @property
    def content(self) -> str:
        return "".join(text for what, text in self.pieces if what == CONTENT)


class Plain:
    """A reader of text in which nothing is set apart: `Reader`'s place in completions."""

    def __init__(self, pieces: Pieces, piece: Piece) -> None:
        self.text, self.piece = TextStream(pieces), piece

    def read(self, token: int) -> None:
        self.piece(CONTENT, self.text.add(token))

    def end(self) -> None:
        self.piece(CONTENT, self.text.end())


class Writing:
    def __init__(self, tokenizer: Tokenizer, pieces: Pieces, chat: bool, stops: Sequence[str] = ()) -> None:
        self.stops = stops
        self.stopped = False
        """Whether a stop string has come; nothing more is said then."""
        self._reader = Reader(tokenizer, self._hear, pieces) if chat else Plain(pieces, self._hear)
        self._part = Part()
        self._held = ""
        self._heard = 0
        """Characters of content, held ones included."""
        self._cut: int | None = None
        """Where the stop string begins."""
        self._behind: list[tuple[int, int, Entry]] = []
        """Tokens that are not given yet: where they begin and end."""

    def add(self, token: int, entry: Entry | None = None) -> Part:
        """`entry`: its log-probability, where it is wanted."""
        if not self.stopped:
            begin = self._heard
            self._reader.read(token)
            if entry is not None:
                self._behind.append((begin, self._heard, entry))
        return self._taken(end=False)

    def end(self) -> Part:
        if not self.stopped:
            self._reader.end()
            self._release()
        return self._taken(end=True)

    def _taken(self, end: bool) -> Part:
        given = self._heard - len(self._held)
        part, self._part = self._part, Part()
        while self._behind:
            begin, until, entry = self._behind[0]
            if self._cut is not None and begin >= self._cut:
                self._behind.clear()
                break
            if until > given and self._cut is None and not end:
                break
            part.entries.append((begin, entry))
            self._behind.pop(0)
        return part

    def _hear(self, what: str, text: str) -> None:
        if self.stopped:
            return
        if what != CONTENT or not self.stops:
            self._release()
            self._say(what, text)
            self._heard += len(text) if what == CONTENT else 0
            return
        self._heard += len(text)
        self._held += text
        found = [at for stop in self.stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            self._cut = self._heard - len(self._held) + min(found)
            self._held = self._held[: min(found)]
            self._release()
            return
        kept = max(_overlap(self._held, stop) for stop in self.stops)
        free = len(self._held) - kept
        self._say(what, self._held[:free])
        self._held = self._held[free:]

    def _release(self) -> None:
        self._say(CONTENT, self._held)
        self._held = ""

    def _say(self, what: str, text: str) -> None:
        if text or what != CONTENT:
            self._part.pieces.append((what, text))


def _overlap(text: str, stop: str) -> int:
    """Characters at the end of `text` that may be the beginning of `stop`."""
    return next((size for size in range(min(len(text), len(stop) - 1), 0, -1) if stop.startswith(text[-size:])), 0)


def stopper(writing: Writing) -> Callable[[Sequence[int]], bool]:
    """For a request's `stop_when`: whether a stop string has come. Asked after each chosen token with the completion so far."""
    read = 0

    def asked(tokens: Sequence[int]) -> bool:
        nonlocal read
        for token in tokens[read:]:
            writing.add(token)
        read = len(tokens)
        return writing.stopped

    return asked
