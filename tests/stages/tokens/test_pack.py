import json
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from models.tokenizer.load import load
from stages.stage import Input
from stages.tokens.pack import CORPORA, PACK, PACKED, PackConfig
from storage.problem import Problem
from storage.shards import read_parquet
from tests.stages.tokens.tiny import LETTERS, corpus, foreign, tokenizer


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tokenizer(tmp_path_factory.mktemp("pieces") / "tokenizer")


def texts(count: int, seed: int = 0) -> list[str]:
    draw = random.Random(seed)
    return [f"{n}: {LETTERS * 3}"[: draw.randint(4, 150)] for n in range(count)]


def packed(out: Path, config: PackConfig, **inputs: Any) -> dict[str, Any]:
    out.mkdir()
    stats: dict[str, Any] = PACK.run(inputs, out, config)
    return stats


def rows(out: Path, split: str = "train") -> pl.DataFrame:
    shards = [read_parquet(str(path)) for path in sorted(out.glob(f"{split}-*.parquet"))]
    return pl.concat(shards) if shards else pl.DataFrame(schema=PACKED)


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if not path.name.startswith(".")}


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.text(alphabet="aé漢 ", max_size=60), min_size=1, max_size=25),
    st.integers(8, 40),
    st.integers(1024, 1100),
    st.integers(1, 4),
)
def test_every_token_of_every_document_is_in_one_row(
    pieces: Path, tmp_path: Path, docs: list[str], row_length: int, buffer_tokens: int, shards: int
) -> None:
    for used in ("docs", "out"):
        shutil.rmtree(tmp_path / used, ignore_errors=True)
    docs = [f"{n}{text}" for n, text in enumerate(docs)] + [LETTERS * 20]
    given = corpus(tmp_path / "docs", docs, pieces, validation=0.3, shards=shards)
    source = pl.concat(read_parquet(str(path)) for path in given.shards)
    assume(source.filter(split="train")["tokens"].list.len().sum() > row_length)
    packed(tmp_path / "out", PackConfig(row_length=row_length, buffer_tokens=buffer_tokens), tokenizer=pieces, web=given)
    known = load(pieces)
    for split in ("train", "validation"):
        made = rows(tmp_path / "out", split)
        assert dict(made.schema) == PACKED
        expected = source.filter(split=split)["tokens"]
        inside = Counter(
            token for row in made.iter_rows(named=True) for token in row["tokens"][: row["used"]] if token != known.start
        )
        assert inside == Counter(token for tokens in expected for token in tokens if token != known.start)
        for row in made.iter_rows(named=True):
            assert len(row["tokens"]) == row_length + 1
            assert row["tokens"][row["used"] :] == [known.pad] * (row_length + 1 - row["used"])
            assert row["document_starts"] == [n for n, token in enumerate(row["tokens"]) if token == known.start]
            assert row["document_starts"][0] == 0


def test_corpora_and_splits_are_apart_and_counted(pieces: Path, tmp_path: Path) -> None:
    web = corpus(tmp_path / "web", texts(80), pieces, validation=0.2)
    books = corpus(tmp_path / "books", [LETTERS * 30, LETTERS * 2], pieces)
    stats = packed(tmp_path / "out", PackConfig(row_length=64), tokenizer=pieces, web=web, books=books)
    assert sorted(files(tmp_path / "out")) == [
        "corpora.parquet", "packing.json", "train-00000.parquet", "train-00001.parquet", "validation-00000.parquet",
    ]  # fmt: skip
    assert rows(tmp_path / "out")["source"].unique(maintain_order=True).to_list() == ["books", "web"]
    table = read_parquet(str(tmp_path / "out" / "corpora.parquet"))
    assert dict(table.schema) == CORPORA
    documents = pl.concat(
        [
            read_parquet(str(web.shards[0])).with_columns(source=pl.lit("web")),
            read_parquet(str(books.shards[0])).with_columns(source=pl.lit("books")),
        ]
    )
    for line in table.iter_rows(named=True):
        here = documents.filter(source=line["source"], split=line["split"])
        made = rows(tmp_path / "out", line["split"]).filter(source=line["source"])
        long = here["tokens"].list.len() > 65
        assert (line["documents"], line["cut_documents"], line["rows"]) == (here.height, long.sum(), made.height)
        assert line["tokens"] == here["tokens"].list.len().sum()
        assert line["bytes"] == here["bytes"].sum() == made["bytes"].sum()
        assert line["padding"] == pytest.approx(0.0 if made.is_empty() else 1 - made["used"].sum() / (made.height * 65))
    train = table.filter(split="train")
    assert stats["train_rows"] == train["rows"].sum()
    assert stats["train_documents"] == train["documents"].sum()
    assert stats["train_padding"] == pytest.approx(1 - rows(tmp_path / "out")["used"].sum() / (train["rows"].sum() * 65))
    assert json.loads(files(tmp_path / "out")["packing.json"]) == {
        "row_length": 64, "start": 1, "pad": 0, "size": 290, "vocabulary": documents["vocabulary"][0],
    }  # fmt: skip


def test_dropped_documents_are_not_packed(pieces: Path, tmp_path: Path) -> None:
    web = corpus(tmp_path / "web", ["", LETTERS * 20, ""], pieces)
    assert packed(tmp_path / "out", PackConfig(row_length=64), tokenizer=pieces, web=web)["train_documents"] == 1


def test_the_same_documents_give_the_same_bytes_however_they_lie_in_shards(pieces: Path, tmp_path: Path) -> None:
    config = PackConfig(row_length=32, buffer_tokens=1024)
    for shards in (1, 5):
        web = corpus(tmp_path / f"web{shards}", texts(120), pieces, validation=0.2, shards=shards)
        turned = Input(web.folder, web.names[::-1])
        packed(tmp_path / f"out{shards}", config, tokenizer=pieces, web=turned)
    trained = {name: data for name, data in files(tmp_path / "out1").items() if name.startswith("train")}
    assert len(trained) > 2
    assert trained.items() <= files(tmp_path / "out5").items()


def test_another_seed_mixes_documents_otherwise(pieces: Path, tmp_path: Path) -> None:
    web = corpus(tmp_path / "web", texts(120), pieces)
    for name, seed in (("one", 1), ("again", 1), ("two", 2)):
        packed(tmp_path / name, PackConfig(row_length=32, seed=seed), tokenizer=pieces, web=web)
    assert files(tmp_path / "one") == files(tmp_path / "again")
    assert files(tmp_path / "one")["train-00000.parquet"] != files(tmp_path / "two")["train-00000.parquet"]


def test_little_is_padding(pieces: Path, tmp_path: Path) -> None:
    web = corpus(tmp_path / "web", texts(2_000), pieces)
    assert packed(tmp_path / "out", PackConfig(row_length=256), tokenizer=pieces, web=web)["train_padding"] < 0.005


def test_without_a_start_token_rows_begin_at_documents_all_the_same(tmp_path: Path) -> None:
    pieces = foreign(tmp_path / "foreign")
    web = corpus(tmp_path / "web", ["abcdefgh" * 3, "x" * 100, "klm"], pieces)
    packed(tmp_path / "out", PackConfig(row_length=31), tokenizer=pieces, web=web)
    known, said = load(pieces), []
    for row in rows(tmp_path / "out").iter_rows(named=True):
        ends = [*row["document_starts"][1:], row["used"]]
        said += [known.decode(row["tokens"][a:b]) for a, b in zip(row["document_starts"], ends, strict=True)]
        assert row["bytes"] == sum(token != known.stops[0] for token in row["tokens"][: row["used"]])
    assert sorted(said) == sorted(["abcdefgh" * 3, "x" * 32, "x" * 32, "x" * 32, "x" * 4, "klm"])


def test_rows_longer_than_all_text_are_refused(pieces: Path, tmp_path: Path) -> None:
    web = corpus(tmp_path / "web", ["a few words"], pieces)
    count = read_parquet(str(web.shards[0]))["tokens"].list.len().sum()
    with pytest.raises(
        Problem, match=rf"a row of 1,024 \+ 1 tokens is longer than all training text, which has {count} tokens; lower"
    ):
        packed(tmp_path / "out", PackConfig(), tokenizer=pieces, web=web)


def test_a_corpus_without_a_training_document_is_refused(pieces: Path, tmp_path: Path) -> None:
    web, none = corpus(tmp_path / "web", texts(50), pieces), corpus(tmp_path / "none", ["", ""], pieces)
    with pytest.raises(Problem, match="the corpus 'books' has no document to train on"):
        packed(tmp_path / "out", PackConfig(row_length=32), tokenizer=pieces, web=web, books=none)
    with pytest.raises(Problem, match="found no corpus to pack"):
        packed(tmp_path / "nothing", PackConfig(row_length=32), tokenizer=pieces)


def test_tokens_of_another_tokenizer_are_refused(pieces: Path, tmp_path: Path) -> None:
    web = corpus(tmp_path / "web", texts(50), tokenizer(tmp_path / "other", 280))
    with pytest.raises(
        Problem, match=r"the corpus 'web' was tokenized with another tokenizer: vocabulary .{12}, expected .{12}; tokenize"
    ):
        packed(tmp_path / "out", PackConfig(row_length=32), tokenizer=pieces, web=web)


def test_a_damaged_shard_is_named(pieces: Path, tmp_path: Path) -> None:
    web = corpus(tmp_path / "web", texts(50), pieces)
    web.shards[0].write_bytes(web.shards[0].read_bytes()[:-100])
    with pytest.raises(Problem, match=r"cannot read .*part-p0000-00000000.parquet.* Delete it and run the flow again"):
        packed(tmp_path / "out", PackConfig(row_length=32), tokenizer=pieces, web=web)
