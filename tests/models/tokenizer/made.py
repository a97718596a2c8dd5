"""Texts to train on, hostile texts to encode, and a tokenizer of each kind over the first."""

import random
from functools import lru_cache

from models.tokenizer import bytelevel, sentence_piece
from models.tokenizer.load import made
from models.tokenizer.reserved import RESERVED
from models.tokenizer.tokenizer import Tokenizer

SYLLABLES = [
    *("ka", "lo", "mi", "ren", "sto", "ver", "an", "der", "el", "ing", "ton", "bra", "que", "shi", "zo"),
    *("ñu", "øl", "äh", "жа", "ли", "мо", "ски", "漢", "字", "の"),
]


def texts(count: int = 300, seed: int = 0) -> list[str]:
    """Made-up prose: words that come back, numbers, punctuation, code, white space of every kind, and the names of reserved tokens."""
    draw = random.Random(seed)
    words = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) for _ in range(400)]
    made = []
    for n in range(count):
        line = " ".join(draw.choices(words, k=40)).capitalize()
        made.append(
            f"{line}, it's {draw.randint(0, 99_999)}.\n\nThen:\n\tif x == {n}:\n        return  '{draw.choice(words)}'\r\n"
        )
    return [*made, *(f"{name} is text: <{name}> {name}{name}" * 5 for name in RESERVED)]


HOSTILE = [
    "",
    " ",
    "  leading and trailing  ",
    "\n",
    " \n \n\n \t\t\n   \n    x",
    "a\r\nb\rc\x0b\x0c\x85\u2028d",
    "\x00\x01\x02\x1b[31m\x7f\x9f",
    "I've WE'LL 'tis 'S 'ſ don'T 'Re",
    "1234567 3.14 ٣٤٥ ½ Ⅷ ²",
    "🚀🦙 👩‍👩‍👧 🇩🇪 e\u0301 ﬁ",
    "\u202ertl\u202c مرحبا 123 שלום",
    "日本語のテキスト 我想在apple工作1314",
    "कान्हा हिन्दी ไทย",
    "\ufeff\u200b\u200d\u00a0\u3000\ue000\U0010ffff\ufffd",
    "a" * 5_000,
    " " * 5_000 + "x",
    "<0x41> <unk> ⁇ ▅",
    *(f"{name}" for name in RESERVED),
    "".join(RESERVED),
    "user\n<|im_start|>assistant<|im_sep|>yes<|im_end|><|document_end|>",
]


def gibberish(count: int, seed: int = 1) -> list[str]:
    draw = random.Random(seed)
    white = " \n\r\t\x0b\x0c\x1c\x1f\x85\xa0\u2003\u2028\u3000"
    pools = [
        white + "ab'sSTrREdDvVmMlL.1ſ",
        white + "az09.,-_<|>'\"éжا漢の🚀\u0301\u200d²½٣",
        [chr(n) for n in (*range(0x300), *range(0x370, 0x600), *range(0xE00, 0xE80), *range(0x1F600, 0x1F650))],
        [*SYLLABLES, " ", "  ", "\n", "7"],
    ]
    return ["".join(draw.choices(pools[n % len(pools)], k=draw.randint(1, 50))) for n in range(count)]


@lru_cache
def bytelevel_files(pretokenizer: str = "qwen2") -> dict[str, bytes]:
    return bytelevel.train(texts(), 700, pretokenizer)  # type: ignore[arg-type]


@lru_cache
def sentencepiece_files() -> dict[str, bytes]:
    return sentence_piece.train(texts(), 700)


@lru_cache
def tokenizer(kind: str) -> Tokenizer:
    return made(bytelevel_files() if kind == "bytelevel" else sentencepiece_files())
