"""A tokenizer as the metadata of a GGUF file: `tokenizer.ggml.*`.

In: a tokenizer, and how many rows the model's embedding has. Out: `Vocabulary`.

| tokenizer | model | what says how to cut | a piece is |
|---|---|---|---|
| byte-level BPE | gpt2 | `pre`, the name of its pre-tokenizer; merges in their order | GPT-2's spelling of its bytes |
| sentencepiece BPE | llama | scores; add_space_prefix | as sentencepiece writes it, ▁ for a space |

| token | type |
|---|---|
| reserved, special | CONTROL: a text becomes it only where the caller says that names of reserved tokens count |
| added, not special | USER_DEFINED: a text becomes it |
| one of sentencepiece's bytes, its unknown token | BYTE, UNKNOWN |
| a row of the embedding beyond the vocabulary | UNUSED |

eos is the first stop, eot the second: either ends a generation. Refused: a byte-level tokenizer whose pre-tokenizer has no name
here, and a sentencepiece model of another kind than BPE, or one that normalises text or takes spaces away, which llama.cpp does
not. Unicode's NFC of Qwen is not done by llama.cpp: text that is not in that form gets other tokens there. Source: llama.cpp,
src/llama-vocab.cpp."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gguf import TokenType

from models.tokenizer.roles import is_winnow
from models.tokenizer.tokenizer import Tokenizer
from models.tokenizer.tokenizer_json import TokenizerJson
from models.tokenizer.tokenizer_model import TokenizerModel
from models.unusable import Unusable

_PROBES = ("a  b", "ﬁ", "\na\n", "e\u0301")


@dataclass(frozen=True)
class Vocabulary:
    model: str
    pre: str
    tokens: Sequence[str]
    types: Sequence[int]
    add_bos: bool
    bos: int | None
    stops: Sequence[int]
    pad: int
    scores: Sequence[float] = field(default=())
    merges: Sequence[str] = field(default=())
    unknown: int | None = None
    add_space_prefix: bool | None = None


def vocabulary(tokenizer: Tokenizer, rows: int) -> Vocabulary:
    """Raises Unusable where llama.cpp would make other tokens of a text."""
    if rows < tokenizer.size:
        raise Unusable(
            f"the model has {rows:,} rows for {tokenizer.size:,} tokens; expected the tokenizer that the model was trained with"
        )
    if isinstance(tokenizer, TokenizerModel):
        return _of_model(tokenizer, rows)
    assert isinstance(tokenizer, TokenizerJson)
    return _of_bytes(tokenizer, rows) if tokenizer.kind == "bytelevel" else _of_merges(tokenizer, rows)


def _of_bytes(tokenizer: TokenizerJson, rows: int) -> Vocabulary:
    if tokenizer.pretokenizer is None:
        raise Unusable(
            "the tokenizer cuts text in a way that has no name in a GGUF file; expected a pre-tokenizer of Qwen 2 or 3, Llama 3, GPT-2 or SmolLM"
        )
    tokens, types = _listed(tokenizer, rows)
    return Vocabulary(
        "gpt2", tokenizer.pretokenizer, tokens, types, _adds_start(tokenizer), tokenizer.start, tokenizer.stops, tokenizer.pad,
        merges=[" ".join(pair) for pair in _merges(tokenizer)],
    )  # fmt: skip


def _of_merges(tokenizer: TokenizerJson, rows: int) -> Vocabulary:
    """A sentencepiece BPE of which only tokenizer.json is there: a piece's score is the place of the first merge that makes it."""
    tokens, types = _listed(tokenizer, rows)
    places: dict[str, int] = {}
    for place, (left, right) in enumerate(_merges(tokenizer), 1):
        places.setdefault(left + right, place)
    found = json.dumps([tokenizer.document["normalizer"], tokenizer.document["pre_tokenizer"]])
    prefix = '"Prepend"' in found or ('"Metaspace"' in found and '"never"' not in found)
    unknown = tokenizer.engine.token_to_id(tokenizer.document["model"].get("unk_token") or "<unk>")
    if unknown is not None:
        types[unknown] = int(TokenType.UNKNOWN)
    return Vocabulary(
        "llama", "default", tokens, types, _adds_start(tokenizer), tokenizer.start, tokenizer.stops, tokenizer.pad,
        scores=[-float(places.get(token, 0)) for token in tokens], unknown=unknown, add_space_prefix=prefix,
    )  # fmt: skip


def _of_model(tokenizer: TokenizerModel, rows: int) -> Vocabulary:
    engine = tokenizer.engine
    if any(not engine.get_score(n).is_integer() for n in range(tokenizer.size)):
        raise Unusable("the sentencepiece model is a unigram one, whose pieces are not merged; expected a BPE, as of Llama")
    for probe in _PROBES:
        if (back := tokenizer.decode(tokenizer.encode(probe))) != probe:
            raise Unusable(
                f"the sentencepiece model makes {back!r} of {probe!r}; expected one that changes no text: llama.cpp does not either"
            )
    tokens, types = _filled(
        [engine.id_to_piece(n) for n in range(tokenizer.size)], [_type(engine, n) for n in range(tokenizer.size)], rows
    )
    scores = [float(engine.get_score(n)) for n in range(tokenizer.size)] + [0.0] * (rows - tokenizer.size)
    prefix = engine.id_to_piece(engine.encode("a")[0]).startswith("▁")
    unknown = engine.unk_id() if engine.unk_id() >= 0 else None
    return Vocabulary(
        "llama", "default", tokens, types, _adds_start(tokenizer), tokenizer.start, tokenizer.stops, tokenizer.pad, scores=scores,
        unknown=unknown, add_space_prefix=prefix,
    )  # fmt: skip


def _type(engine: Any, n: int) -> int:
    kind = TokenType.NORMAL
    if engine.is_unknown(n):
        kind = TokenType.UNKNOWN
    elif engine.is_control(n):
        kind = TokenType.CONTROL
    elif engine.is_byte(n):
        kind = TokenType.BYTE
    elif engine.is_unused(n):
        kind = TokenType.UNUSED
    return int(kind)


def _listed(tokenizer: TokenizerJson, rows: int) -> tuple[list[str], list[int]]:
    added = {token["id"]: token for token in tokenizer.document["added_tokens"]}
    fallback = tokenizer.document["model"].get("byte_fallback", False)
    tokens, types = [""] * tokenizer.size, [int(TokenType.UNUSED)] * tokenizer.size
    for token, n in tokenizer.engine.get_vocab(with_added_tokens=True).items():
        tokens[n], types[n] = token, TokenType.NORMAL
        if n in added:
            types[n] = TokenType.CONTROL if added[n]["special"] else TokenType.USER_DEFINED
        elif fallback and token.startswith("<0x") and len(token) == 6:
            types[n] = TokenType.BYTE
    return _filled([token or f"[PAD{n}]" for n, token in enumerate(tokens)], types, rows)


def _filled(tokens: list[str], types: list[int], rows: int) -> tuple[list[str], list[int]]:
    """With names for the rows that no token has."""
    spare = range(len(tokens), rows)
    return [*tokens, *(f"[PAD{n}]" for n in spare)], [*map(int, types), *(int(TokenType.UNUSED) for _ in spare)]


def _merges(tokenizer: TokenizerJson) -> list[tuple[str, str]]:
    """Older files write a merge as one string."""
    pairs = [pair.split(" ", 1) if isinstance(pair, str) else pair for pair in tokenizer.document["model"]["merges"]]
    return [(left, right) for left, right in pairs]


def _adds_start(tokenizer: TokenizerJson | TokenizerModel) -> bool:
    """Whether a text begins with the start token: in Winnow's own models always; elsewhere as Hugging Face's files say."""
    if tokenizer.start is None or is_winnow(tokenizer.special):
        return tokenizer.start is not None
    said = json.loads(tokenizer.files.get("tokenizer_config.json", b"{}")).get("add_bos_token")
    if isinstance(said, bool):
        return said
    if isinstance(tokenizer, TokenizerModel):
        return True
    start = next((token["content"] for token in tokenizer.document["added_tokens"] if token["id"] == tokenizer.start), None)
    return start is not None and json.dumps(start) in json.dumps(tokenizer.document.get("post_processor"))
