"""Text of tokens that come one after the other: never half a character, and stop strings wherever the tokens split them.

In: `Tokenizer.pieces()` and tokens. Out: what `decode` would give for all of them, in parts; reserved tokens are left out.
"""

import codecs
from collections.abc import Callable, Sequence

from models.tokenizer.tokenizer import Kind

Pieces = Sequence[tuple[bytes, Kind]]


class TextStream:
    def __init__(self, pieces: Pieces) -> None:
        self.pieces = pieces
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, token: int) -> str:
        """The text that is whole with this token; empty in the middle of a character."""
        if token >= len(self.pieces):  # rows of an embedding that is wider than the vocabulary
            return ""
        piece, kind = self.pieces[token]
        return "" if kind == "control" else self._bytes.decode(piece)

    def end(self) -> str:
        """U+FFFD for a character that was left unfinished."""
        return self._bytes.decode(b"", final=True)


def ends_with(pieces: Pieces, strings: Sequence[str]) -> Callable[[Sequence[int]], bool]:
    """For one request's `stop_when`: whether one of the strings stands in the text so far. Asked after each token, with all of them."""
    stream = TextStream(pieces)
    longest = max(map(len, strings), default=0)
    read = 0
    tail = ""

    def asked(tokens: Sequence[int]) -> bool:
        nonlocal read, tail
        fresh = "".join(stream.add(token) for token in tokens[read:])
        read = len(tokens)
        text = tail + fresh
        tail = text[max(0, len(text) - longest + 1) :] if longest > 1 else ""
        return any(string in text for string in strings)

    return asked
