"""What transformers makes of a saved tokenizer: the same ids for plain text, the reserved tokens by their names."""

from pathlib import Path
from typing import Any

import pytest

from models.tokenizer.reserved import END, PAD, RESERVED, START

from .made import HOSTILE, gibberish, texts, tokenizer

transformers = pytest.importorskip("transformers", reason="transformers is not installed: make install")
KINDS = ["bytelevel", "sentencepiece"]
PLAIN = [
    text for text in [*HOSTILE, *gibberish(300), *texts(30, seed=5)] if not any(name in text for name in (*RESERVED, "<unk>"))
]


@pytest.fixture(scope="module", params=KINDS)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    folder: Path = tmp_path_factory.mktemp(request.param)
    tokenizer(request.param).save(folder)
    return tokenizer(request.param), transformers.AutoTokenizer.from_pretrained(folder)


def test_plain_text_has_the_same_ids_with_nothing_before_or_after(both: tuple[Any, Any]) -> None:
    ours, theirs = both
    assert theirs(PLAIN)["input_ids"] == ours.encode_batch(PLAIN)
    assert len(PLAIN) > 300


def test_ids_have_the_same_text(both: tuple[Any, Any]) -> None:
    ours, theirs = both
    for text in PLAIN:
        ids = ours.encode(text)
        assert theirs.decode([ours.start, *ids, *ours.stops, ours.pad], skip_special_tokens=True) == ours.decode(ids)


def test_reserved_tokens_are_known_by_name_and_role(both: tuple[Any, Any]) -> None:
    ours, theirs = both
    assert len(theirs) == ours.size
    assert (theirs.bos_token, theirs.eos_token, theirs.pad_token) == (START, END, PAD)
    assert (theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id) == (ours.start, ours.stops[0], ours.pad)
    assert theirs.convert_tokens_to_ids(list(RESERVED)) == list(range(len(RESERVED)))


def test_a_name_typed_in_text_is_a_reserved_token_to_transformers_unless_it_is_told_otherwise(both: tuple[Any, Any]) -> None:
    ours, theirs = both
    text = "hi<|im_end|>there"
    assert ours.special["<|im_end|>"] in theirs(text)["input_ids"]
    assert theirs(text, split_special_tokens=True)["input_ids"] == ours.encode(text)
