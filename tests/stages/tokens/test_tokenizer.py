"""A vocabulary from a corpus: which documents it is made of, what it says of itself, and the same bytes each time."""

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from models.tokenizer.load import load
from models.unusable import Unusable
from stages.stage import Input
from stages.tokens.fertility import fit
from stages.tokens.sample import FEW, draw, measured, trained
from stages.tokens.tokenizer import TOKENIZER, TokenizerConfig
from storage.problem import Problem
from storage.shards import read_parquet

WORDS = ["river", "mountain", "letters", "people", "écoute", "städte", "молоко", "дорога", "water", "singing", "12", "345"]
KINDS = ["bytelevel", "sentencepiece"]


def documents(count: int, seed: int = 0) -> list[tuple[str, str, str]]:
    chance = random.Random(seed)
    return [
        (f"doc-{n}", " ".join(chance.choices(WORDS, k=chance.randint(5, 60))) + ".\n", chance.choice(["en", "de", "ru"]))
        for n in range(count)
    ]


def shards(folder: Path, *parts: Iterable[tuple[Any, ...]], columns: tuple[str, ...] = ("id", "text", "language")) -> Input:
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for n, part in enumerate(parts):
        names.append(f"part-{n}.parquet")
        pl.DataFrame(list(part), schema=dict.fromkeys(columns, pl.String()), orient="row").write_parquet(folder / names[-1])
    return Input(folder, tuple(names))


def made(docs: Input, out: Path, config: TokenizerConfig) -> dict[str, Any]:
    out.mkdir()
    stats: dict[str, Any] = TOKENIZER.run({"docs": docs}, out, config)
    return stats


@pytest.mark.parametrize("kind", KINDS)
def test_the_artifact_holds_the_tokenizer_its_pieces_and_how_it_fits(kind: Any, tmp_path: Path) -> None:
    stats = made(shards(tmp_path / "docs", documents(200)), tmp_path / "out", TokenizerConfig(kind=kind, size=330))
    tokenizer = load(tmp_path / "out")
    assert (tokenizer.kind, tokenizer.size, stats["size"]) == (kind, 330, 330)

    vocabulary = read_parquet(str(tmp_path / "out" / "vocabulary.parquet"))
    assert dict(vocabulary.schema) == {"id": pl.Int32(), "bytes": pl.Binary(), "kind": pl.String()}
    assert vocabulary.rows() == [(n, piece, kind) for n, (piece, kind) in enumerate(tokenizer.pieces())]

    fertility = read_parquet(str(tmp_path / "out" / "fertility.parquet"))
    assert set(fertility["language"][1:]) == {"en", "de", "ru"}
    assert fertility["language"][0] == "all"
    for name in ("documents", "bytes", "words", "tokens"):
        assert fertility[name][0] == fertility[name][1:].sum()
    assert fertility["documents"][0] == stats["held_out_documents"] >= 1
    assert stats["documents"] + stats["held_out_documents"] == 200
    assert stats["bytes_per_token"] == fertility["bytes"][0] / fertility["tokens"][0] > 2
    assert 1 <= stats["tokens_per_word"] == fertility["tokens"][0] / fertility["words"][0] < 4

    longest = read_parquet(str(tmp_path / "out" / "longest.parquet"))
    assert longest["bytes"].to_list() == sorted(longest["bytes"], reverse=True)
    assert stats["longest_token_bytes"] == longest["bytes"][0] > 5
    assert longest["count"].max() > 0

    report = (tmp_path / "out" / "report.md").read_text()
    assert report.startswith(f"# {kind}, 330 tokens from {stats['documents']} documents (")
    assert f"| all | {stats['held_out_documents']} | {fertility['bytes'][0]:,} |" in report
    assert f"`{longest['piece'][0].strip()}`" in report


def test_the_figures_are_those_of_the_texts() -> None:
    class Letters:
        """A token for each letter."""

        size = 300

        def encode_batch(self, texts: list[str]) -> list[list[int]]:
            return [[ord(letter) for letter in text] for text in texts]

        def pieces(self) -> list[tuple[bytes, str]]:
            return [(chr(n).encode(), "normal") for n in range(299)] + [(b"abcdef", "normal")]

    fitted = fit(Letters(), [("ab cd", "en"), ("ä b", "de"), ("aaaa", "zh"), ("x y", "en")])  # type: ignore[arg-type]
    assert fitted.fertility.rows() == [
        ("all", 4, 16, 5 + 1, 15, 16 / 15, 11 / 6),
        ("en", 2, 8, 4, 8, 1.0, 2.0),
        ("de", 1, 4, 2, 3, 4 / 3, 1.5),
        ("zh", 1, 4, None, 4, 1.0, None),
    ]
    assert fitted.longest.row(0) == (299, "abcdef", 6, 0)
    assert fitted.longest.filter(id=ord("ä")).row(0) == (ord("ä"), "ä", 2, 1)
    assert fitted.unused == pytest.approx(1 - len(set("ab cdäxy")) / 300)


def test_documents_are_drawn_by_their_ids_whatever_the_shards_and_their_order(tmp_path: Path) -> None:
    rows = documents(300)
    one = shards(tmp_path / "one", rows).shards
    many = shards(tmp_path / "many", rows[200:], rows[:50][::-1], [], rows[50:200]).shards
    first, second = draw(one, 10_000, 7), draw(many, 10_000, 7)
    assert first == second
    assert sorted(trained(one, first)) == sorted(trained(many, second))
    assert sorted(measured(one, first)) == sorted(measured(many, second))
    assert not set(trained(one, first)) & {text for text, _ in measured(one, first)}
    assert draw(one, 10_000, 8) != first


def test_as_much_is_drawn_as_was_asked_for_and_no_more_than_one_document_beyond(tmp_path: Path) -> None:
    files = shards(tmp_path, documents(300)).shards
    sizes = sorted(len(text.encode()) for _, text, _ in documents(300))
    for most in (1_000, 20_000):
        sample = draw(files, most, 0)
        assert sum(len(text.encode()) for text in trained(files, sample)) == sample.bytes
        assert len(list(trained(files, sample))) == sample.documents
        assert most <= sample.bytes < most + sizes[-1]
    everything = draw(files, 10**9, 0)
    assert everything.documents + everything.held_out == 300
    held = sum(len(text.encode()) for text, _ in measured(files, everything))
    assert held <= sum(sizes) / 20
    assert everything.bytes == sum(sizes) - held


def test_a_corpus_that_grows_keeps_most_of_what_was_drawn_from_it(tmp_path: Path) -> None:
    new = [(f"new-{n}", text, "en") for n, (_, text, _) in enumerate(documents(60, 5))]
    before = shards(tmp_path / "a", documents(300)).shards
    after = shards(tmp_path / "b", documents(300), new).shards
    drawn = set(trained(before, draw(before, 20_000, 0)))
    again = set(trained(after, draw(after, 20_000, 0)))
    assert len(drawn & again) > 0.6 * len(drawn)


def test_few_documents_are_measured_by_what_was_trained_on(tmp_path: Path) -> None:
    files = shards(tmp_path, documents(FEW - 1)).shards
    sample = draw(files, 10**6, 0)
    assert sample.held_out == 0
    assert sorted(text for text, _ in measured(files, sample)) == sorted(trained(files, sample))


def test_dropped_documents_empty_texts_and_missing_languages_are_seen_through(tmp_path: Path) -> None:
    rows = [("a", "kept", None, None), ("b", "dropped", "en", "too_short"), ("c", "", "en", None), ("d", None, "en", None)]
    files = shards(tmp_path, rows, columns=("id", "text", "language", "reason")).shards
    sample = draw(files, 10**6, 0)
    assert list(trained(files, sample)) == ["kept"]
    assert list(measured(files, sample)) == [("kept", "und")]
    bare = shards(tmp_path / "bare", [("a", "only text")], columns=("id", "text")).shards
    assert list(measured(bare, draw(bare, 10**6, 0))) == [("only text", "und")]


TRAIN = """
import json, sys
from pathlib import Path
from stages.stage import Input
from stages.tokens.tokenizer import TOKENIZER, TokenizerConfig
docs, names, out = sys.argv[1:]
for kind in ("bytelevel", "sentencepiece"):
    (Path(out) / kind).mkdir(parents=True)
    TOKENIZER.run({"docs": Input(Path(docs), tuple(json.loads(names)))}, Path(out) / kind, TokenizerConfig(kind=kind, size=330))
"""


def test_every_file_is_the_same_whatever_the_threads_the_hash_seed_and_the_shards(tmp_path: Path) -> None:
    rows = documents(400)
    one = shards(tmp_path / "one", rows)
    other = shards(tmp_path / "other", rows[300:], rows[:300][::-1])

    def digests(docs: Input, out: Path, threads: str, seed: str) -> dict[str, str]:
        names = "RAYON_NUM_THREADS", "POLARS_MAX_THREADS", "OMP_NUM_THREADS"
        environment = os.environ | dict.fromkeys(names, threads) | {"PYTHONHASHSEED": seed}
        subprocess.run(
            [sys.executable, "-c", TRAIN, str(docs.folder), json.dumps(docs.names), str(out)], env=environment, check=True
        )
        return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in out.rglob("*.*")}

    first = digests(one, tmp_path / "first", "1", "1")
    assert len(first) == 6 + 7
    assert digests(one, tmp_path / "second", "3", "2") == first
    assert digests(other, tmp_path / "third", "2", "3") == first


@pytest.mark.parametrize("kind", KINDS)
def test_a_vocabulary_too_large_for_the_text_says_how_many_tokens_it_gives(kind: Any, tmp_path: Path) -> None:
    with pytest.raises(Unusable, match=r"the text gives a vocabulary of [\d,]+ .* at most, expected 32,768; lower `size`"):
        made(shards(tmp_path / "docs", documents(50)), tmp_path / "out", TokenizerConfig(kind=kind))


def test_an_empty_corpus_and_one_without_text_are_refused(tmp_path: Path) -> None:
    config = TokenizerConfig(size=330)
    with pytest.raises(Problem, match=r"the corpus has no text: 0 shards"):
        made(Input(tmp_path, ()), tmp_path / "a", config)
    with pytest.raises(Problem, match=r"the corpus has no text: 2 shards"):
        made(shards(tmp_path / "empty", [], [("a", "", "en")]), tmp_path / "b", config)
    with pytest.raises(Problem, match=r"part-0.parquet has no column text, expected documents with id and text"):
        made(shards(tmp_path / "facts", [("a", "b")], columns=("id", "fact")), tmp_path / "c", config)


@pytest.mark.parametrize(
    "settings",
    [{"split_digits": False}, {"coverage": 0.99}, {"kind": "sentencepiece", "pretokenizer": "gpt-2"}],
    ids=lambda settings: " ".join(settings),
)
def test_a_setting_of_the_other_kind_is_refused_rather_than_ignored(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"does nothing where kind is (bytelevel|sentencepiece)"):
        TokenizerConfig(**settings)


def test_settings_come_back_from_a_recipe() -> None:
    for config in (TokenizerConfig(), TokenizerConfig(kind="sentencepiece", split_digits=False)):
        assert TokenizerConfig.model_validate(config.model_dump(mode="json")) == config


def test_the_pretokenizer_and_the_digits_are_as_configured(tmp_path: Path) -> None:
    docs = shards(tmp_path / "docs", [(name, f"{text} in 2026 2026 2026" * 9, "en") for name, text, _ in documents(40)])
    made(docs, tmp_path / "gpt", TokenizerConfig(size=320, pretokenizer="gpt-2"))
    assert len(load(tmp_path / "gpt").encode(" 2026")) == 1
    made(docs, tmp_path / "llama", TokenizerConfig(size=320, pretokenizer="llama-bpe"))
    assert len(load(tmp_path / "llama").encode(" 2026")) == 3
    made(docs, tmp_path / "whole", TokenizerConfig(kind="sentencepiece", size=330, split_digits=False))
    assert len(load(tmp_path / "whole").encode(" 2026")) == 1
    made(docs, tmp_path / "apart", TokenizerConfig(kind="sentencepiece", size=330))
    assert len(load(tmp_path / "apart").encode(" 2026")) == 5
