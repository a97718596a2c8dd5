"""What everything else knows of a tokenizer: text to ids and back, the ids of reserved tokens, and where its files lie."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

Kind = Literal["normal", "control", "byte", "unused"]
"""control: a reserved token; byte: one of sentencepiece's bytes for what it has no piece of (in a byte-level vocabulary every piece is
normal, also a part of a character); unused: no text becomes it."""


class Tokenizer(Protocol):
    @property
    def kind(self) -> str:
        """bytelevel or sentencepiece."""
        ...

    @property
    def size(self) -> int:
        """V: ids are 0 .. V-1; rows of the embedding."""
        ...

    @property
    def special(self) -> Mapping[str, int]:
        """Reserved token -> id."""
        ...

    @property
    def start(self) -> int | None:
        """Put before a document: `<|document_start|>`, or the begin-of-sequence token of a foreign tokenizer."""
        ...

    @property
    def stops(self) -> tuple[int, ...]:
        """Any of these ends a generation: the end of a document, the end of a turn."""
        ...

    @property
    def pad(self) -> int:
        """Never one of `stops`, unless a foreign tokenizer has no other."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of plain text. A reserved token's name in `text` is text like any other; nothing is added before or after."""
        ...

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """As `encode`, faster for many."""
        ...

    def decode(self, ids: Iterable[int]) -> str:
        """Text; reserved tokens are left out, bytes that are no UTF-8 become U+FFFD."""
        ...

    def pieces(self) -> list[tuple[bytes, Kind]]:
        """What each id stands for, by id."""
        ...

    def save(self, folder: Path) -> None:
        """Write the files that `load` and Hugging Face's transformers read."""
        ...
