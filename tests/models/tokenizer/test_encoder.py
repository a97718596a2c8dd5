"""The fast encoder: cuts words as `tokenizers` does and gives the same ids, whatever the text, the batch and what it met before."""

import itertools
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from models.tokenizer import encoder, tokenizer_json
from models.tokenizer.load import made
from models.tokenizer.pretokenizers import NAMES, Pretokenizer, pretokenizer
from models.tokenizer.words import STYLE, classes, cut

from .made import HOSTILE, bytelevel_files, gibberish, texts

STEPS = "\n\r \t\x85'sSrelLdmvV1½.ſa漢\u0301"


def words(name: Pretokenizer, text: str) -> list[str]:
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    ends, counts = np.empty(len(codes), np.int64), np.zeros(1, np.int64)
    found = cut(codes, np.array([0, len(codes)]), classes(STYLE[name]), STYLE[name], ends, counts)
    assert counts.tolist() == [found]
    return [text[first:last] for first, last in itertools.pairwise([0, *ends[:found].tolist()])]


def expected(cutter: Any, text: str) -> list[str]:
    return [text[first:last] for _, (first, last) in cutter.pre_tokenize_str(text)]


@pytest.mark.parametrize("name", NAMES)
def test_words_are_those_of_the_regular_expressions(name: Pretokenizer) -> None:
    cutter = pretokenizer(name)
    short = ["".join(letters) for count in (1, 2, 3) for letters in itertools.product(STEPS, repeat=count)]
    chance = random.Random(name)
    long = ["".join(chance.choices(STEPS, k=chance.randint(4, 30))) for _ in range(1_000)]
    for text in (*short, *long, *HOSTILE, *gibberish(500, seed=3)):
        assert words(name, text) == expected(cutter, text), repr(text)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_character_is_of_the_class_that_the_regular_expressions_have_for_it(name: Pretokenizer) -> None:
    """Each between letters, spaces, digits and marks in turn: another class would cut another way."""
    cutter = pretokenizer(name)
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000 and (code < 0x33480 or code % 997 == 0)]
    for at in range(0, len(every), 1_000):
        for before, behind in (("a", "a"), (" 1", " "), ("!", "\n")):
            text = "".join(f"{before}{one}{behind}" for one in every[at : at + 1_000])
            if words(name, text) != expected(cutter, text):
                wrong = [one for one in every[at : at + 1_000] if words(name, before + one) != expected(cutter, before + one)]
                pytest.fail(f"{before!r} {[hex(ord(one)) for one in wrong]} {behind!r}")


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_the_same_with_and_without_it(name: Pretokenizer) -> None:
    tokenizer = made(bytelevel_files(name))
    samples = [*HOSTILE, *gibberish(2_000), *texts(200, seed=4), "x" * tokenizer_json.MUCH]
    slow = [tokenizer.engine.encode(text, add_special_tokens=False).ids for text in samples]  # type: ignore[attr-defined]
    assert [tokenizer.encode(text) for text in samples[:-1]] == slow[:-1]
    assert "_encoder" not in tokenizer.__dict__
    assert tokenizer.encode_batch(samples) == slow
    assert "_encoder" in tokenizer.__dict__
    assert [tokenizer.encode(text) for text in samples] == slow
    assert tokenizer.encode_batch([]) == []
    assert tokenizer.encode("a\ud800") == tokenizer.encode("a\ufffd")


def test_it_goes_on_when_its_table_is_full_and_when_a_call_is_more_than_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "_ROOM", 500)
    monkeypatch.setattr(encoder, "_AT_ONCE", 2_000)
    tokenizer = made(bytelevel_files())
    fast = encoder.Encoder("qwen2", lambda words: [tokenizer.encode(word) for word in words])
    for seed in range(6):
        samples = [*texts(40, seed=seed), "", *gibberish(30, seed=seed)]
        assert fast.encode(samples) == [tokenizer.encode(text) for text in samples]
    assert fast.known < 500


def test_threads_that_share_one_get_what_each_would_alone() -> None:
    tokenizer = made(bytelevel_files())
    fast = encoder.Encoder("qwen2", lambda words: [tokenizer.encode(word) for word in words])
    batches = [[*texts(30, seed=seed), *gibberish(200, seed=seed)] for seed in range(40)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(fast.encode, batches))
    assert found == [[tokenizer.encode(text) for text in batch] for batch in batches]


def test_different_words_of_equal_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """All words in one slot, and of one hash: what is compared are their letters."""
    from models.tokenizer import words as kernels

    tokenizer = made(bytelevel_files())
    samples = texts(20)

    def same_hash(codes: Any, first: int, last: int) -> Any:
        return np.uint64(7)

    monkeypatch.setattr(kernels, "_hash", same_hash)
    monkeypatch.setattr(encoder, "find", kernels.find.py_func)
    monkeypatch.setattr(encoder, "place", kernels.place.py_func)
    fast = encoder.Encoder("qwen2", lambda words: [tokenizer.encode(word) for word in words])
    assert fast.encode(samples[:3]) == [tokenizer.encode(text) for text in samples[:3]]
    assert fast.encode(samples[1:4]) == [tokenizer.encode(text) for text in samples[1:4]]


def test_white_space_without_end_is_no_trouble() -> None:
    name: Pretokenizer = "qwen2"
    assert words(name, " " * 12_000_000) == [" " * 12_000_000]
    assert words(name, " " * 12_000_000 + "a") == [" " * 11_999_999, " a"]
