"""Which tokens begin a document, end a generation and fill a row.

Winnow's own vocabularies say it by the names of their reserved tokens. Foreign ones say it in Hugging Face's files:

| role | where it is looked for, the first that speaks |
|---|---|
| start | `bos_token` of tokenizer_config.json, special_tokens_map.json (null: there is none); `bos_token_id` of generation_config.json, config.json |
| stops | all of: `eos_token` of the first two; `eos_token_id`, a number or a list, of the last two |
| pad | `pad_token`, `pad_token_id`; else a reserved token called pad, else one called reserved, else `unk_token` |

A pad that is also a stop is passed over for the next: what fills rows is never learnt, and a model must learn to stop.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from models.tokenizer.reserved import END, PAD, RESERVED, START, TURN_END
from models.unusable import Unusable

FILES = ("tokenizer_config.json", "special_tokens_map.json")
BESIDE = ("generation_config.json", "config.json")


@dataclass(frozen=True)
class Roles:
    start: int | None
    stops: tuple[int, ...]
    pad: int


def is_winnow(special: Mapping[str, int]) -> bool:
    """Whether these are the reserved tokens of a vocabulary that Winnow made."""
    return all(name in special for name in RESERVED)


def roles(files: Mapping[str, bytes], special: Mapping[str, int], id_of: Callable[[str], int | None]) -> Roles:
    """`files` by name, `special`: reserved token -> id, `id_of` any token. Raises Unusable where a file is not JSON."""
    if is_winnow(special):
        return Roles(special[START], (special[END], special[TURN_END]), special[PAD])
    named = [_document(files, name) for name in FILES]
    numbered = [_document(files, name) for name in BESIDE]

    def by_name(role: str) -> int | None:
        for document in named:
            if role in document:
                token = document[role]
                return None if token is None else id_of(token["content"] if isinstance(token, dict) else token)
        return None

    def by_number(role: str) -> list[int]:
        found = [document[role] for document in numbered if document.get(role) is not None]
        return [number for one in found for number in (one if isinstance(one, list) else [one])]

    start = by_name("bos_token")
    if start is None and not any("bos_token" in document for document in named):
        start = next(iter(by_number("bos_token_id")), None)
    first = by_name("eos_token")
    stops = tuple(dict.fromkeys([*([] if first is None else [first]), *by_number("eos_token_id")]))
    pads = [by_name("pad_token"), *by_number("pad_token_id")]
    pads += [number for word in ("pad", "reserved") for name, number in special.items() if word in name.lower()]
    pads.append(by_name("unk_token"))
    known = [pad for pad in pads if pad is not None and pad >= 0]  # Llama 1 and 2 say -1 for none
    free = [pad for pad in known if pad not in stops and pad != start]
    return Roles(start, stops, next(iter([*free, *known, *stops]), 0 if start is None else start))


def _document(files: Mapping[str, bytes], name: str) -> dict[str, Any]:
    try:
        document = json.loads(files.get(name, b"{}"))
    except ValueError as error:
        raise Unusable(f"{name} is not JSON ({error}); expected the file that Hugging Face's transformers wrote") from None
    if not isinstance(document, dict):
        raise Unusable(f"{name} holds {type(document).__name__}, expected an object; it is not of Hugging Face's transformers")
    return document
