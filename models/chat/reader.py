"""What an assistant writes, told while it writes: tokens one at a time to pieces of text, each with what it is.

In: the ids behind `<|im_start|>assistant<|im_sep|>`, results that were put in among them. Out: (what, text), as it comes:

| what | text |
|---|---|
| content | what is said |
| thinking | |
| python, search | the expression or the query of a call |
| result | what came back of it |

An empty text says that a piece begins. A character whose bytes are not all there yet is waited for. What to make of it in the end, faults
included, is `models/chat/generated.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable

from models.chat.renderer import CALLS
from models.tokenizer.reserved import RESULT, RESULT_END, THINK, THINK_END
from models.tokenizer.stream import Pieces, TextStream
from models.tokenizer.tokenizer import Tokenizer

Piece = Callable[[str, str], None]

_OPENS = {THINK: "thinking", RESULT: "result"} | {before: tool for tool, (before, _) in CALLS.items()}
_CLOSES = {"thinking": THINK_END, "result": RESULT_END} | {tool: after for tool, (_, after) in CALLS.items()}


class Reader:
    """`pieces`: the tokenizer's, where they are known already."""

    def __init__(self, tokenizer: Tokenizer, piece: Piece, pieces: Pieces | None = None) -> None:
        self.pieces = tokenizer.pieces() if pieces is None else pieces
        self.piece = piece
        self.names = {index: name for name, index in tokenizer.special.items()}
        self.stops = set(tokenizer.stops)
        self.what = "content"
        self.text = TextStream(self.pieces)

    def read(self, token: int) -> None:
        name = self.names.get(token)
        if name is None and token not in self.stops:
            self._tell(self.text.add(token))
            return
        self.end()
        if name in _OPENS:
            self.what = _OPENS[name]
            self.piece(self.what, "")
        elif name == _CLOSES.get(self.what):
            self.what = "content"

    def end(self) -> None:
        """What waited for the rest of a character."""
        self._tell(self.text.end())
        self.text = TextStream(self.pieces)

    def _tell(self, text: str) -> None:
        if text:
            self.piece(self.what, text)
