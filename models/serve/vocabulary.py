"""How tokens are called in the API's log-probabilities: their text; `bytes:\\xe2\\x82` where it is no whole text; a reserved token's name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.tokenizer.stream import Pieces
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.request import Token

Scored = tuple[int, float]
"""A token and its log-probability."""


@dataclass(frozen=True)
class Entry:
    """A token in its place."""

    token: int
    logprob: float | None
    """Null: nothing comes before it."""
    top: Sequence[Scored]


class Vocabulary:
    def __init__(self, tokenizer: Tokenizer) -> None:
        self.pieces: Pieces = tokenizer.pieces()
        self.special = {index: name for name, index in tokenizer.special.items()}

    def name(self, token: int) -> str:
        if token in self.special:
            return self.special[token]
        data = self.data(token)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{one:02x}" for one in data)

    def data(self, token: int) -> bytes:
        """What it stands for; nothing for reserved tokens and for rows of an embedding that is wider than the vocabulary."""
        if token >= len(self.pieces) or token in self.special:
            return b""
        return self.pieces[token][0]

    def entry(self, chosen: Token) -> Entry:
        return Entry(chosen.token, chosen.logprob, chosen.top)

    def chat(self, entry: Entry) -> dict[str, Any]:
        """As in `choices[].logprobs.content[]`; `id` is ours."""
        assert entry.logprob is not None
        return {**self._one((entry.token, entry.logprob)), "top_logprobs": [self._one(one) for one in entry.top]}

    def _one(self, scored: Scored) -> dict[str, Any]:
        token, logprob = scored
        return {"token": self.name(token), "logprob": logprob, "bytes": list(self.data(token)), "id": token}

    def completion(self, entries: Sequence[tuple[int, Entry]], best: bool) -> dict[str, Any]:
        """As in `choices[].logprobs` of completions: of each the character at which it begins; with `best` the best tokens too."""
        tops: list[dict[str, float] | None] = []
        for _, entry in entries:
            named: dict[str, float] = {}
            for token, logprob in entry.top:
                named.setdefault(self.name(token), logprob)
            tops.append(None if entry.logprob is None else named)
        return {
            "tokens": [self.name(entry.token) for _, entry in entries],
            "token_logprobs": [entry.logprob for _, entry in entries],
            "top_logprobs": tops if best else None,
            "text_offset": [at for at, _ in entries],
        }
