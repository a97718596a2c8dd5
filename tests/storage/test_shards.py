"""A shard is whole or not there, its bytes are a function of its rows, and a wrong one is never read."""

import os
import pickle
import random
from pathlib import Path

import polars as pl
import pytest

from storage.problem import Problem
from storage.shards import File, encode, examine, file_stem, next_name, part_name, read_shard, write_shard
from storage.snapshot import Snapshot, load, snapshots
from storage.store import Store

COLUMNS = {
    "id": pl.String(),
    "score": pl.Float64(),
    "reason": pl.String(),
    "tags": pl.List(pl.String()),
    "signature": pl.Array(pl.UInt64(), 3),
}


def rows(count: int = 5) -> pl.DataFrame:
    values = [
        {"id": f"d{n}", "score": n / 3, "reason": "odd" if n % 2 else None, "tags": ["a", f"é{n}"], "signature": [n, 2**63, 0]}
        for n in range(count)
    ]
    return pl.DataFrame(values, schema=COLUMNS)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


def test_rows_come_back_as_they_went_in(store: Store) -> None:
    file = write_shard(store, "c4/0", "a-p0000-00000000.parquet", rows(), COLUMNS, "a-p0000-11111111.parquet")
    assert read_shard(store, "c4/0", file).equals(rows())
    assert read_shard(store, "c4/0", file, ["id", "reason"], kept=True)["id"].to_list() == ["d0", "d2", "d4"]
    assert (file.rows, file.kept, file.reasons) == (5, 3, {"odd": 2})


def test_equal_rows_are_equal_bytes_whatever_chunks_they_came_in() -> None:
    pieces = pl.concat([rows()[:2], rows()[2:]], rechunk=False)
    assert encode(rows(), COLUMNS) == encode(pieces, COLUMNS)


def test_an_empty_shard_has_the_whole_schema(store: Store) -> None:
    file = write_shard(store, "c4/0", "a-p0000-00000000.parquet", rows(0), COLUMNS, "o")
    assert read_shard(store, "c4/0", file).schema == pl.Schema(COLUMNS)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (rows().drop("score"), "score: expected Float64, found None"),
        (rows().with_columns(pl.lit(1).alias("extra")), "extra: not declared"),
        (rows().with_columns(pl.col("score").cast(pl.Float32)), "score: expected Float64, found Float32"),
    ],
)
def test_rows_of_another_schema_are_refused_by_column(frame: pl.DataFrame, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode(frame, COLUMNS)


@pytest.mark.parametrize(
    ("path", "stem"),
    [
        ("crawl/CC-MAIN-1.warc.gz", "CC-MAIN-1"),
        ("a.b.jsonl.zst", "a.b"),
        ("x y/ü*.parquet", "_"),
        (".warc", "file"),
        ("n" * 300 + ".warc", "n" * 80),
    ],
)
def test_a_stem_is_safe_in_any_file_system(path: str, stem: str) -> None:
    assert file_stem(path) == stem


def test_a_name_follows_from_history_and_inputs() -> None:
    origin = part_name("crawl", 3, ["source"])
    assert origin.startswith("crawl-p0003-")
    assert next_name(origin, ["x"]) == next_name(origin, ["x"])
    assert len({next_name(origin, ["x"]), next_name(origin, ["y"]), next_name(part_name("crawl", 3, ["z"]), ["x"])}) == 3


def test_a_shard_that_a_whole_stage_numbered_begins_a_history() -> None:
    name = next_name("tests-00000.parquet", ["x"])
    assert name.startswith("tests-00000-p0000-")
    assert next_name(name, ["x"]).startswith("tests-00000-p0000-")
    with pytest.raises(ValueError, match="not a shard name"):
        next_name("tests.parquet", ["x"])


def test_numbered_files_of_a_whole_stage_are_one_table() -> None:
    def file(name: str, origin: str | None = None) -> File:
        return File(name, 1, "0", 1, origin)

    numbered = [file("walks-00000.parquet"), file("walks-00001.parquet")]
    shards = [file("z-p0000-00000000.parquet", "z"), file("z-00001.parquet", "y")]
    alone = [file("metrics.parquet"), file("a-p0000-00000000.parquet")]
    tables = Snapshot.of("report", "0", [*numbered, *shards, *alone]).tables
    assert list(tables) == ["", "a-p0000-00000000.parquet", "metrics.parquet", "walks"]
    assert (tables["walks"], {one.name for one in tables[""]}) == (numbered, {one.name for one in shards})


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: data[:50] + b"X" + data[51:], lambda data: b""])
def test_a_damaged_shard_is_never_read(store: Store, damage: object) -> None:
    file = write_shard(store, "c4/0", "a-p0000-00000000.parquet", rows(), COLUMNS, "o")
    path = store.local(f"c4/0/{file.name}")
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(Problem, match="has changed since it was written"):
        read_shard(store, "c4/0", file)


def test_a_file_without_an_entry_is_taken_only_if_whole_and_of_the_schema(store: Store) -> None:
    file = write_shard(store, "c4/0", "a.parquet", rows(), COLUMNS, "o")
    assert examine(store, "c4/0", "a.parquet", COLUMNS, "o") == file
    assert examine(store, "c4/0", "a.parquet", COLUMNS | {"more": pl.String()}, "o") is None
    store.write("c4/0/b.parquet", store.read("c4/0/a.parquet")[:-8])
    assert examine(store, "c4/0/", "b.parquet", COLUMNS, "o") is None


def test_a_flipped_bit_is_found_also_where_no_digest_is_known(store: Store) -> None:
    text = random.Random(1).randbytes(400).hex()
    frame = pl.DataFrame({"text": [text]})
    columns = {"text": pl.String()}
    data = bytearray(encode(frame, columns))
    store.write("c4/0/a.parquet", bytes(data))
    assert examine(store, "c4/0", "a.parquet", columns, "o") is not None
    data[300] ^= 1  # within the page of text
    store.write("c4/0/a.parquet", bytes(data))
    assert examine(store, "c4/0", "a.parquet", columns, "o") is None


def test_a_store_is_the_same_folder_in_a_worker_with_another_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    carried = pickle.dumps(Store("störe 1/#a"))
    monkeypatch.chdir("/")
    assert pickle.loads(carried).root == str(tmp_path / "störe 1/#a")


def test_a_write_that_fails_leaves_nothing_behind(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("c4/0/kept.txt", b"before")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.write("c4/0/kept.txt", b"after")
    assert store.read("c4/0/kept.txt") == b"before"
    assert [path for path, _ in store.walk("")] == ["c4/0/kept.txt"]


def test_a_store_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Problem, match="give another with --store"):
        Store(str(tmp_path / "file")).check()
    with pytest.raises(Problem, match="nosuchprotocol"):
        Store("nosuchprotocol://x").check()


def test_a_snapshot_is_found_by_its_files_and_nothing_else(store: Store) -> None:
    files = [File("b.parquet", 1, "d2", 3, "o", {"short": 1}), File("a.parquet", 2, "d1", 4, "o", {"short": 2, "long": 1})]
    one = Snapshot.of("c4", "0123456789ab", files)
    assert one.id == Snapshot.of("c4", "0123456789ab", list(reversed(files)), {"any": 1}).id
    assert (one.rows, one.kept, one.reasons) == (7, 3, {"short": 3, "long": 1})
    assert one.seal(store)
    assert not one.seal(store)
    assert load(store, "c4", "0123456789ab", one.id) == one
    path = f"c4/0123456789ab/snapshots/{one.id}.json"
    whole = store.read(path)
    store.write(path, whole.replace(b'"long":1', b'"long":9'))  # which the id does not speak of
    assert list(snapshots(store, "c4", "0123456789ab")) == []
    assert one.seal(store)
    assert store.read(path) == whole
    store.write("c4/0123456789ab/snapshots/ffffffffffff.json", store.read(f"c4/0123456789ab/snapshots/{one.id}.json"))
    assert list(snapshots(store, "c4", "0123456789ab")) == [one]
