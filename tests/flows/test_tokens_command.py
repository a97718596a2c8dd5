"""`winnow tokens`: how a text splits, for people and for programs, with any tokenizer; and hostile text made harmless."""

import io
import itertools
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from flows.__main__ import app
from flows.commands.tokens import BYTES, _lines
from flows.engines.local import LocalEngine
from flows.materialize import materialize
from models.tokenizer import bytelevel, sentence_piece
from models.tokenizer.load import load
from models.unusable import Unusable
from stages.corpus.simulate import SIMULATE, SimulateConfig
from stages.tokens.tokenizer import TOKENIZER, TokenizerConfig
from storage.problem import Problem
from storage.store import Store
from tests.flows.toy import context, texts

TEXTS = ["The river runs to the sea, and the sea takes it in. " * 3, "Naïve façade: the crème brûlée.\n\n\tif x:\n"] * 40


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    made = {"bytelevel": bytelevel.train(TEXTS, 310), "sentencepiece": sentence_piece.train(TEXTS, 340)}
    folders = {}
    for kind, files in made.items():
        folder = tmp_path_factory.mktemp(kind)
        for name, data in files.items():
            (folder / name).write_bytes(data)
        folders[kind] = str(folder)
    return folders


def called(*arguments: str, given: bytes = b"") -> str:
    done = CliRunner().invoke(app, ["tokens", *arguments], input=given)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("kind", ["bytelevel", "sentencepiece"])
def test_pieces_stand_above_their_ids(kind: str, folders: dict[str, str]) -> None:
    tokenizer = load(Path(folders[kind]))
    ids = tokenizer.encode("the river")
    lines = called("the river", "--tokenizer", folders[kind]).splitlines()
    pieces = [tokenizer.pieces()[n][0].decode().replace(" ", "·") for n in ids]
    assert lines[0].split() == pieces
    assert lines[1].split() == [str(n) for n in ids]
    for piece, number in zip(pieces, ids, strict=True):
        assert lines[0].index(piece) in [at for at in range(len(lines[1])) if lines[1].startswith(str(number), at)]
    assert f"{len(ids)} tokens of 9 bytes, {9 / len(ids):.2f} bytes per token" in lines
    assert lines[-1] == f"{kind} of {tokenizer.size}: {folders[kind]}"


@pytest.mark.parametrize("kind", ["bytelevel", "sentencepiece"])
def test_programs_get_every_token_with_its_bytes(kind: str, folders: dict[str, str]) -> None:
    text = "the sea 🦙\n<|im_end|>"
    document = json.loads(called(text, "--tokenizer", folders[kind], "--json"))
    tokenizer = load(Path(folders[kind]))
    assert [one["id"] for one in document["tokens"]] == tokenizer.encode(text)
    assert bytes.fromhex("".join(one["bytes"] for one in document["tokens"])).decode() == text
    assert "".join(one["text"] for one in document["tokens"] if "\ufffd" not in one["text"]) == text.replace("🦙", "")
    assert document["bytes"] == len(text.encode())
    assert document["byte_pieces"] == 4
    assert document["bytes_per_token"] == document["bytes"] / len(document["tokens"])
    assert (document["kind"], document["size"]) == (kind, tokenizer.size)


def test_text_comes_from_standard_input_too_whatever_its_bytes(folders: dict[str, str]) -> None:
    option = ("--tokenizer", folders["bytelevel"], "--json")
    assert called("-", *option, given="crème\n".encode()) == called("crème\n", *option)
    broken = json.loads(called("-", *option, given=b"a\xffb"))
    assert bytes.fromhex("".join(one["bytes"] for one in broken["tokens"])).decode() == "a\ufffdb"
    assert json.loads(called("", *option))["tokens"] == []
    assert "0 tokens of 0 bytes" in called("", *option[:2])


def test_a_long_text_is_shown_in_part_and_counted_whole(folders: dict[str, str]) -> None:
    lines = called("sea " * 5_000, "--tokenizer", folders["bytelevel"]).splitlines()
    ids = load(Path(folders["bytelevel"])).encode("sea " * 5_000)
    assert f"... and {len(ids) - 1_000:,} tokens more; --json has them all" in lines
    assert any(line.startswith(f"{len(ids):,} tokens of 20,000 bytes") for line in lines)
    assert max(map(len, lines)) <= 200


def test_hostile_text_cannot_speak_to_the_terminal(folders: dict[str, str]) -> None:
    for kind in folders:
        text = "\x1b[31m\x07\u202eevil\u2066\x9b1m [bold]markup[/bold] \u200b"
        out = called(text, "--tokenizer", folders[kind])
        assert not set(out) & {"\x1b", "\x07", "\u202e", "\u2066", "\x9b", "\u200b"}
        assert out.replace(" ", "").count("[") == text.count("[")


def test_parts_of_characters_stand_on_red_and_every_piece_differs_from_its_neighbours() -> None:
    out = Console(width=40, force_terminal=True, color_system="truecolor", file=io.StringIO())
    pieces = [b"the", b" sea", b"\xf0\x9f", b"\xa6\x99", b"\n", b"\xcc\x81", b"\xcd\x80"]
    lines = list(_lines(out, list(enumerate(pieces))))
    shown = [[(line.plain[span.start : span.end], str(span.style)) for span in line.spans] for line in lines]
    upper = [part for line in shown[::3] for part in line]
    assert [text for text, _ in upper] == ["the", "·sea", "<F0><9F>", "<A6><99>", "⏎", "◌\u0301", "◌\u0340"]
    assert [style == BYTES for _, style in upper] == [False, False, True, True, False, False, False]
    assert all(a != b or a == BYTES for (_, a), (_, b) in itertools.pairwise(upper))
    assert lines[2].plain == ""
    assert max(line.cell_len for line in lines) <= 40


def test_an_artifact_of_the_store_is_the_default(tmp_path: Path, engine: LocalEngine, folders: dict[str, str]) -> None:
    store = Store(str(tmp_path))
    made = context(store, engine)
    trained = materialize(made, TOKENIZER, TokenizerConfig(size=310), texts(made, TEXTS))
    option = ("--store", str(tmp_path), "--json", "--tokenizer")
    document = json.loads(called("the sea", *option, trained.snapshot.reference))
    assert document["tokenizer"] == trained.snapshot.reference
    assert document["tokens"] == json.loads(called("the sea", *option, str(tmp_path / trained.snapshot.folder)))["tokens"]
    other = materialize(made, SIMULATE, SimulateConfig(pages=20, files=1))
    with pytest.raises(Problem, match=rf"{other.snapshot.reference} holds no tokenizer; give an artifact that does"):
        called("x", *option, other.snapshot.reference)
    with pytest.raises(Problem, match="no run of this store got as far as 'tokenizer'"):
        called("x", *option[:3])


def test_what_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="no tokenizer is here"):
        called("x", "--tokenizer", str(tmp_path))
    with pytest.raises(Problem, match="holds nothing"):
        called("x", "--store", str(tmp_path / "nowhere"))
