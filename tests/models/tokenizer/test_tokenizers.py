"""What both kinds promise: text comes back, no text becomes a reserved token, the same texts give the same files."""

import hashlib
import json
import os
import pickle
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from models.tokenizer import bytelevel, sentence_piece
from models.tokenizer.load import load, made
from models.tokenizer.reserved import END, PAD, RESERVED, START, TURN_END
from models.unusable import Unusable

from .made import HOSTILE, bytelevel_files, gibberish, sentencepiece_files, texts, tokenizer

KINDS = ["bytelevel", "sentencepiece"]


@pytest.mark.parametrize("kind", KINDS)
def test_reserved_tokens_are_the_first_ids_and_have_their_roles(kind: str) -> None:
    found = tokenizer(kind)
    assert found.kind == kind
    assert found.special == {name: n for n, name in enumerate(RESERVED)}
    assert found.start == found.special[START]
    assert found.stops == (found.special[END], found.special[TURN_END])
    assert found.pad == found.special[PAD]


@pytest.mark.parametrize("kind", KINDS)
def test_the_vocabulary_is_of_the_size_that_was_asked_for(kind: str) -> None:
    found = tokenizer(kind)
    pieces = found.pieces()
    assert found.size == len(pieces) == 700
    assert len({piece for piece, kind in pieces if kind == "normal"}) == sum(kind == "normal" for _, kind in pieces)
    assert [piece.decode() for piece, kind in pieces if kind == "control"] == list(RESERVED)
    single = {piece for piece, kind in pieces if kind in ("normal", "byte") and len(piece) == 1}
    assert single == {bytes([n]) for n in range(256)}
    if kind == "sentencepiece":
        assert [piece for piece, kind in pieces if kind == "byte"] == [bytes([n]) for n in range(256)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_text_comes_back_and_none_becomes_a_reserved_token(kind: str) -> None:
    found = tokenizer(kind)
    samples = [*HOSTILE, *gibberish(400), *texts(20, seed=9)]
    pieces = found.pieces()
    for text, ids in zip(samples, found.encode_batch(samples), strict=True):
        assert ids == found.encode(text)
        assert found.decode(ids) == text
        assert b"".join(pieces[n][0] for n in ids) == text.encode()
        assert {pieces[n][1] for n in ids} <= {"normal", "byte"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_lone_surrogate_is_read_as_the_replacement_character(kind: str) -> None:
    found = tokenizer(kind)
    assert found.decode(found.encode("a\ud800b\udfff")) == "a\ufffdb\ufffd"
    assert found.encode("\ud83d\ude80") == found.encode("🚀")
    assert found.encode_batch(["plain", "\udcff"]) == [found.encode("plain"), found.encode("\ufffd")]


@pytest.mark.parametrize("kind", KINDS)
def test_decoding_leaves_out_reserved_tokens_and_what_is_no_token_and_replaces_broken_bytes(kind: str) -> None:
    found = tokenizer(kind)
    word = found.encode("Kalo")
    assert found.decode([found.special[START], *word, found.special[END], found.pad, found.size, found.size + 99]) == "Kalo"
    euro = [found.pieces().index((bytes([byte]), "normal" if kind == "bytelevel" else "byte")) for byte in "€".encode()]
    assert found.decode(euro) == "€"
    assert set(found.decode(euro[:2] + word).removesuffix("Kalo")) == {"\ufffd"}
    assert found.decode([]) == ""


def test_sentencepiece_cannot_tell_its_own_sign_for_a_space_from_one() -> None:
    found = tokenizer("sentencepiece")
    assert found.encode("a▁b") == found.encode("a b")
    assert tokenizer("bytelevel").decode(tokenizer("bytelevel").encode("a▁b")) == "a▁b"


def test_sentencepiece_splits_digits_and_keeps_newlines_together() -> None:
    found = tokenizer("sentencepiece")
    assert len(found.encode("12345")) == 5
    assert len(found.encode("\n\n")) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_crosses_processes_and_folders(kind: str, tmp_path: Path) -> None:
    found = tokenizer(kind)
    found.encode("used before")
    found.save(tmp_path / "new" / "folder")
    for other in (pickle.loads(pickle.dumps(found)), load(tmp_path / "new" / "folder")):
        assert other.kind == kind
        assert other.pieces() == found.pieces()
        assert (other.start, other.stops, other.pad, other.special) == (found.start, found.stops, found.pad, found.special)
        assert other.encode_batch(HOSTILE) == found.encode_batch(HOSTILE)


TRAIN = """
import hashlib, json, sys
from models.tokenizer import bytelevel, sentence_piece
texts = json.load(sys.stdin)
files = bytelevel.train(texts, 600), sentence_piece.train(texts, 600)
print(json.dumps([{name: hashlib.sha256(data).hexdigest() for name, data in one.items()} for one in files]))
"""


def test_the_same_texts_give_the_same_bytes_whatever_the_threads_the_hash_seed_and_the_order(tmp_path: Path) -> None:
    def trained(given: list[str], threads: str, seed: str) -> list[dict[str, str]]:
        environment = os.environ | {"RAYON_NUM_THREADS": threads, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", TRAIN], input=json.dumps(given), env=environment, capture_output=True, text=True, check=True
        )
        made: list[dict[str, str]] = json.loads(done.stdout)
        return made

    given = texts(120)
    first = trained(given, "1", "1")
    assert [sorted(one) for one in first] == [
        ["tokenizer.json", "tokenizer_config.json"],
        ["tokenizer.json", "tokenizer.model", "tokenizer_config.json"],
    ]
    assert trained(given, "4", "2") == first
    assert trained(given[::-1], "2", "3") == first
    here = bytelevel.train(given, 600), sentence_piece.train(given, 600)
    assert [{name: hashlib.sha256(data).hexdigest() for name, data in one.items()} for one in here] == first


def test_no_file_names_a_path_of_this_machine() -> None:
    for files in (bytelevel_files(), sentencepiece_files()):
        for data in files.values():
            assert os.getcwd().encode() not in data
            assert b"/tmp" not in data
            assert b".model" not in data


@pytest.mark.parametrize("kind", KINDS)
def test_a_vocabulary_that_the_text_cannot_give_is_refused_with_the_size_that_it_can(kind: str) -> None:
    def train(size: int) -> dict[str, bytes]:
        given = texts(30)
        return bytelevel.train(given, size) if kind == "bytelevel" else sentence_piece.train(given, size)

    with pytest.raises(Unusable, match=r"at most, expected 1,000,000; lower `size` to [\d,]+ or less") as raised:
        train(1_000_000)
    most = int(str(raised.value).partition("lower `size` to ")[2].partition(" ")[0].replace(",", ""))
    assert made(train(most)).size == most
    with pytest.raises(Unusable, match=r"lower `size`"):
        train(most + 1)


@pytest.mark.parametrize("train", [bytelevel.train, sentence_piece.train])
def test_a_vocabulary_without_room_for_bytes_and_reserved_tokens_is_refused(train: Callable[..., object]) -> None:
    with pytest.raises(Unusable, match=r"vocabulary of 250 is too small"):
        train(texts(5), 250)


def test_no_text_is_an_error_that_says_so() -> None:
    with pytest.raises(Unusable, match="no text"):
        sentence_piece.train([], 600)
    with pytest.raises(Unusable, match="at most, expected 600"):
        bytelevel.train([], 600)


def test_an_error_in_the_texts_themselves_is_not_the_trainer_s() -> None:
    def broken() -> object:
        yield "a text"
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        sentence_piece.train(broken(), 600)  # type: ignore[arg-type]
    with pytest.raises(OSError, match="disk gone"):
        bytelevel.train(broken(), 600)  # type: ignore[arg-type]


def test_a_document_without_end_of_words_can_be_learnt_from() -> None:
    """The trainer's regular expressions give up beyond ten million spaces, and its time grows with the square of a word's length."""
    endless = [" " * 12_000_000, "".join(random.Random(0).choices("abcdefghij", k=300_000))]
    found = made(bytelevel.train([*texts(60), *endless], 600))
    assert 64_000 / bytelevel.LONGEST <= len(found.encode(" " * 64_000)) <= 64_000 / 16
    assert found.decode(found.encode(endless[1])) == endless[1]
