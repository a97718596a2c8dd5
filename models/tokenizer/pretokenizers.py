"""How byte-level BPE cuts text into the words inside of which it merges, under the names that GGUF files have for it (`tokenizer.ggml.pre`).

| name | digits | white space | contractions ('s 't 're 've 'm 'll 'd) |
|---|---|---|---|
| qwen2 (Qwen 2 and 3) | one by one | newlines apart; any single character but a newline may begin a word of letters | either case |
| llama-bpe (Llama 3) | in threes | as qwen2 | either case |
| gpt-2 | whole numbers | a space may begin a word | lower case |
| smollm | one by one | as gpt-2, also before a digit | lower case |

llama.cpp cuts the same under each name. The patterns are those of the published tokenizers with one change: case is folded in ASCII alone,
as llama.cpp does; there, `'ſ` (U+017F, long s) is no contraction.
"""

import json
from typing import Any, Literal, get_args

from tokenizers import Regex, pre_tokenizers

Pretokenizer = Literal["qwen2", "llama-bpe", "gpt-2", "smollm"]
NAMES: tuple[Pretokenizer, ...] = get_args(Pretokenizer)

_CONTRACTION = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
_PUBLISHED_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_REST = r"|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_DIGITS = {"qwen2": r"\p{N}", "llama-bpe": r"\p{N}{1,3}"}


def pretokenizer(name: Pretokenizer) -> Any:
    """The `tokenizers` pre-tokenizer of that name."""
    if name == "gpt-2":
        return pre_tokenizers.ByteLevel(add_prefix_space=False)
    if name == "smollm":
        return pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    pattern = Regex(_CONTRACTION + _REST % _DIGITS[name])
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Split(pattern, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )


def recognised(document: dict[str, Any] | None) -> Pretokenizer | None:
    """The name of a tokenizer.json's `pre_tokenizer`, Winnow's or a published one's; None where it has none here."""
    parts = _parts(document)
    for name in NAMES:
        if parts == _parts(json.loads(pretokenizer(name).__getstate__())):
            return name
    return None


def _parts(document: dict[str, Any] | None) -> list[dict[str, Any]]:
    """What counts of each step: not `trim_offsets`, and not which of two spellings a pattern has."""
    if document is None:
        return []
    parts = []
    for part in document["pretokenizers"] if document["type"] == "Sequence" else [document]:
        part = {name: value for name, value in part.items() if name not in ("trim_offsets", "invert")}
        if "Regex" in part.get("pattern", {}):
            part["pattern"] = part["pattern"]["Regex"].replace(_PUBLISHED_CONTRACTION, _CONTRACTION)
        parts.append(part)
    return parts
