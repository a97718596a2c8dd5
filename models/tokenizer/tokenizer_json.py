"""A tokenizer.json: Winnow's byte-level BPE, or a foreign BPE of the Llama, Qwen or GPT-2 kind.

No text becomes a reserved token. In a foreign vocabulary those are the added tokens that are marked special, and those in angle brackets
that are not (Qwen 3's `<think>` and `<tool_call>`): transformers would make them of their names, wherever those come from.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Engine
from tokenizers import pre_tokenizers

from models.tokenizer.plain import plain
from models.tokenizer.pretokenizers import Pretokenizer, recognised
from models.tokenizer.roles import Roles, roles
from models.tokenizer.tokenizer import Kind
from models.unusable import Unusable

FILE = "tokenizer.json"
MUCH = 100_000
"""Characters in one call for which the fast encoder is loaded."""
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


@dataclass(frozen=True, eq=False)
class TokenizerJson:
    files: Mapping[str, bytes]
    """What `save` writes, by name."""
    special: Mapping[str, int]
    start: int | None
    stops: tuple[int, ...]
    pad: int

    @property
    def kind(self) -> str:
        return "bytelevel" if _is_bytelevel(self.document) else "sentencepiece"

    @property
    def pretokenizer(self) -> Pretokenizer | None:
        """Its name in a GGUF file; None where it is none of those that are known."""
        return recognised(self.document["pre_tokenizer"])

    @cached_property
    def document(self) -> dict[str, Any]:
        return _document(self.files)

    @cached_property
    def engine(self) -> Any:
        return _engine(self.document)

    @cached_property
    def size(self) -> int:
        return 1 + int(max(self.engine.get_vocab(with_added_tokens=True).values()))

    def encode(self, text: str) -> list[int]:
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        given = list(map(plain, texts))
        if self._is_cut_by_words and ("_encoder" in self.__dict__ or sum(map(len, given)) >= MUCH):
            made: list[list[int]] = self._encoder.encode(given)
            return made
        return _merged(self.engine, given)

    @cached_property
    def _is_cut_by_words(self) -> bool:
        """Whether the fast encoder can do it: nothing happens to a text before it is cut, in a known way."""
        found = self.document
        only_reserved = all(token["content"] in self.special for token in found["added_tokens"])
        return self.kind == "bytelevel" and self.pretokenizer is not None and found["normalizer"] is None and only_reserved

    @cached_property
    def _encoder(self) -> Any:
        from models.tokenizer.encoder import Encoder  # only now: its machine code takes a second to load

        name = self.pretokenizer
        assert name is not None
        engine = _engine(self.document)
        engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        return Encoder(name, lambda words: _merged(engine, words))

    def decode(self, ids: Iterable[int]) -> str:
        if self.kind == "sentencepiece":  # its decoder may take a space away at the start
            return str(self.engine.decode([n for n in ids if n < self.size], skip_special_tokens=True))
        bytes_of = self._bytes
        return b"".join(bytes_of[n] for n in ids if n in bytes_of).decode("utf-8", "replace")

    @cached_property
    def _bytes(self) -> dict[int, bytes]:
        return {n: piece for n, (piece, kind) in enumerate(self.pieces()) if kind == "normal"}

    def pieces(self) -> list[tuple[bytes, Kind]]:
        pieces: list[tuple[bytes, Kind]] = [(b"", "unused")] * self.size
        bytelevel = self.kind == "bytelevel"
        fallback = self.document["model"].get("byte_fallback", False)
        added = {token["content"] for token in self.document["added_tokens"]}
        for token, n in self.engine.get_vocab(with_added_tokens=True).items():
            if token in added:
                pieces[n] = token.encode(), "control" if token in self.special else "normal"
            elif bytelevel:
                pieces[n] = _as_bytes(token), "normal"
            elif fallback and (byte := _BYTE.fullmatch(token)):
                pieces[n] = bytes([int(byte[1], 16)]), "byte"
            else:
                pieces[n] = token.replace("▁", " ").encode(), "normal"
        return pieces

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in self.files.items():
            (folder / name).write_bytes(data)

    def __reduce__(self) -> tuple[Any, ...]:
        return TokenizerJson, (self.files, self.special, self.start, self.stops, self.pad)


def tokenizer_json(files: Mapping[str, bytes], beside: Mapping[str, bytes]) -> TokenizerJson:
    """From the tokenizer's files and those of the model that lie beside them. Raises Unusable where it is of another kind."""
    document = _document(files)
    model = document["model"].get("type", "BPE")
    if model != "BPE":
        raise Unusable(f"tokenizer.json holds a tokenizer of the kind {model}; expected BPE, as of Llama, Qwen or GPT-2")
    engine = _engine(document)
    special = {token["content"]: token["id"] for token in document["added_tokens"] if _is_reserved(token)}
    found: Roles = roles({**beside, **files}, special, engine.token_to_id)
    return TokenizerJson(files, special, found.start, found.stops, found.pad)


def _document(files: Mapping[str, bytes]) -> dict[str, Any]:
    try:
        document = json.loads(files[FILE])
        if not isinstance(document["model"], dict) or not isinstance(document["added_tokens"], list):
            raise TypeError("`model` or `added_tokens` is of another type")
    except (ValueError, KeyError, TypeError) as error:
        raise Unusable(
            f"tokenizer.json cannot be read ({type(error).__name__}: {error}); expected the file that `tokenizers` wrote"
        ) from None
    assert isinstance(document, dict)
    return document


def _engine(document: dict[str, Any]) -> Any:
    """Without what would add, cut or fill, and with every reserved token as one that no text becomes."""
    added = [token | {"special": True} if _is_reserved(token) else token for token in document["added_tokens"]]
    bare = document | {"truncation": None, "padding": None, "post_processor": None, "added_tokens": added}
    try:
        engine = Engine.from_str(json.dumps(bare))
    except Exception as error:  # the library raises Exception itself
        raise Unusable(f"tokenizer.json cannot be used: {error}; expected the file that `tokenizers` wrote") from None
    engine.encode_special_tokens = True
    return engine


def _merged(engine: Any, texts: Sequence[str]) -> list[list[int]]:
    try:
        return [made.ids for made in engine.encode_batch_fast(list(texts), add_special_tokens=False)]
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # the library has no name for it
            raise
        raise Unusable(
            f"a text of {max(map(len, texts)):,} characters is too much for this tokenizer's regular expressions ({error}); "
            "cut texts, or their runs of white space, to a million characters"
        ) from None


def _is_reserved(token: dict[str, Any]) -> bool:
    name = token["content"]
    return bool(token["special"] or (name.startswith("<") and name.endswith(">")))


def _is_bytelevel(document: dict[str, Any]) -> bool:
    return '"ByteLevel"' in json.dumps([document["pre_tokenizer"], document["decoder"]])


def _characters() -> dict[str, int]:
    """GPT-2's spelling of bytes: a printable character for each of the 256, most of them itself in Latin-1."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + n): byte for n, byte in enumerate(hidden)}


_BYTE_OF = _characters()


def _as_bytes(token: str) -> bytes:
    if all(character in _BYTE_OF for character in token):
        return bytes(_BYTE_OF[character] for character in token)
    return token.encode()  # in the vocabulary as text: a token that was added to it
