"""A tokenizer.model of sentencepiece: Winnow's BPE, or a foreign model that comes without a tokenizer.json.

The reserved tokens are its control symbols: sentencepiece never makes one of a text.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceProcessor

from models.tokenizer.plain import plain
from models.tokenizer.roles import Roles, is_winnow, roles
from models.tokenizer.tokenizer import Kind
from models.unusable import Unusable

FILE = "tokenizer.model"


@dataclass(frozen=True, eq=False)
class TokenizerModel:
    files: Mapping[str, bytes]
    """What `save` writes, by name."""
    special: Mapping[str, int]
    start: int | None
    stops: tuple[int, ...]
    pad: int

    @property
    def kind(self) -> str:
        return "sentencepiece"

    @cached_property
    def engine(self) -> Any:
        return _engine(self.files)

    @property
    def size(self) -> int:
        return int(self.engine.get_piece_size())

    def encode(self, text: str) -> list[int]:
        return list(self.engine.encode(plain(text)))

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return list(self.engine.encode(list(map(plain, texts)), num_threads=1))

    def decode(self, ids: Iterable[int]) -> str:
        size = self.size
        return str(self.engine.decode([n for n in ids if n < size and not self.engine.is_unknown(n)]))

    def pieces(self) -> list[tuple[bytes, Kind]]:
        return [_piece(self.engine, n) for n in range(self.size)]

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in self.files.items():
            (folder / name).write_bytes(data)

    def __reduce__(self) -> tuple[Any, ...]:
        return TokenizerModel, (self.files, self.special, self.start, self.stops, self.pad)


def tokenizer_model(files: Mapping[str, bytes], beside: Mapping[str, bytes]) -> TokenizerModel:
    """From the tokenizer's files and those of the model that lie beside them. Raises Unusable where sentencepiece cannot read it."""
    engine = _engine(files)
    special = _special(engine)
    found: Roles = roles({**beside, **files}, special, lambda token: _id_of(engine, token))
    if is_winnow(special):
        return TokenizerModel(files, special, found.start, found.stops, found.pad)
    # Where no file names them, the model itself does; it says -1 for none.
    start = engine.bos_id() if found.start is None and engine.bos_id() >= 0 else found.start
    stops = found.stops or tuple(n for n in (engine.eos_id(),) if n >= 0)
    pad = next(n for n in (engine.pad_id(), found.pad, engine.unk_id()) if n >= 0 and n not in stops and n != start)
    return TokenizerModel(files, special, start, stops, pad)


def is_ours(files: Mapping[str, bytes]) -> bool:
    """Whether tokenizer.model was made by Winnow: then it is what counts, and tokenizer.json beside it is made from it."""
    try:
        return is_winnow(_special(_engine(files)))
    except Unusable:
        return False


def _engine(files: Mapping[str, bytes]) -> Any:
    try:
        return SentencePieceProcessor(model_proto=files[FILE])
    except RuntimeError as error:
        raise Unusable(f"tokenizer.model is no model of sentencepiece ({error}); expected one, or a tokenizer.json") from None


def _special(engine: Any) -> dict[str, int]:
    return {engine.id_to_piece(n): n for n in range(engine.get_piece_size()) if engine.is_control(n)}


def _id_of(engine: Any, token: str) -> int | None:
    found = int(engine.piece_to_id(token))
    return found if engine.id_to_piece(found) == token else None


def _piece(engine: Any, n: int) -> tuple[bytes, Kind]:
    piece = engine.id_to_piece(n)
    if engine.is_byte(n):
        return bytes([int(piece[3:5], 16)]), "byte"
    if engine.is_control(n):
        return piece.encode(), "control"
    if engine.is_unknown(n) or engine.is_unused(n):
        return piece.encode(), "unused"
    return piece.replace("▁", " ").encode(), "normal"
