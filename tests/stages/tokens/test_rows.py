import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from models.transformer.world import World
from stages.pretraining.batches import share
from stages.stage import Input
from stages.tokens.pack import PACK, PACKED, PackConfig
from stages.tokens.rows import IGNORED, Rows, documents, taken, targets
from storage.problem import Problem
from storage.shards import encode, read_parquet
from tests.stages.tokens.tiny import LETTERS, corpus, folder, foreign, tokenizer

TEXTS = [f"{n}: {LETTERS[: n % 60]}" for n in range(150)]


def pack(base: Path, pieces: Path, length: int = 40, validation: float = 0.2) -> Input:
    """Two corpora in rows; several shards of the larger."""
    (base / "packed").mkdir(parents=True)
    web = corpus(base / "web", TEXTS, pieces, validation)
    books = corpus(base / "books", [LETTERS * 12], pieces)
    PACK.run(
        {"tokenizer": pieces, "web": web, "books": books}, base / "packed", PackConfig(row_length=length, buffer_tokens=1024)
    )
    return folder(base / "packed")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Input:
    base = tmp_path_factory.mktemp("rows")
    return pack(base, tokenizer(base / "tokenizer"))


@pytest.fixture
def rows(packed: Input, tmp_path: Path) -> Rows:
    return Rows(packed, tmp_path / ".rows", {}, 0)


def stored(packed: Input, split: str) -> pl.DataFrame:
    return pl.concat(read_parquet(str(path)) for path in packed.shards if path.name.startswith(split))


def tokens_of(shards: pl.DataFrame) -> list[list[int]]:
    return shards["tokens"].to_list()


def test_mapped_rows_are_those_of_the_shards(packed: Input, rows: Rows) -> None:
    assert sum(name.startswith("train-") for name in packed.names) > 2
    assert rows.train.tokens.dtype == np.uint16
    for split, part in (("train", rows.train), ("validation", rows.held_out)):
        shards = stored(packed, split)
        assert part.tokens.tolist() == tokens_of(shards)
        assert part.used.tolist() == shards["used"].to_list()
        assert part.bytes.tolist() == shards["bytes"].to_list()
        starts = [part.starts[a:b].tolist() for a, b in zip(part.first[:-1], part.first[1:], strict=True)]
        assert starts == shards["document_starts"].to_list()
        for name, here in part.sources.items():
            assert set(shards["source"][here.start : here.stop]) == {name}
    assert (rows.row_length, rows.pad, rows.start, rows.size) == (40, 0, 1, 290)


def test_validation_rows_come_in_the_order_of_the_shards(packed: Input, rows: Rows) -> None:
    shards = stored(packed, "validation")
    tokens, used = rows.validation(1, 10**6)
    assert tokens.tolist() == tokens_of(shards)[1:]
    assert used.tolist() == shards["used"].to_list()[1:]
    assert rows.validation_count == shards.height
    assert rows.validation(0, 0)[0].shape == (0, 41)


def test_an_epoch_of_training_is_every_row_once(packed: Input, rows: Rows) -> None:
    count = len(rows.train)
    for epoch in range(2):
        tokens, _ = rows.training(epoch * count, count)
        assert sorted(tokens.tolist()) == sorted(tokens_of(stored(packed, "train")))
    assert rows.epochs(count) == {"books": 1.0, "web": 1.0}


def test_training_goes_on_from_a_number_as_if_it_had_not_stopped(packed: Input, rows: Rows, tmp_path: Path) -> None:
    whole = [rows.training(step * 6, 6) for step in range(30)]
    resumed = Rows(packed, tmp_path / "elsewhere", {}, 0)
    assert resumed.digest == rows.digest
    for step in (29, 7, 13):
        assert all(np.array_equal(one, other) for one, other in zip(resumed.training(step * 6, 6), whole[step], strict=True))


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_divide_a_step_among_them(rows: Rows, processes: int) -> None:
    step = [rows.training(40, 8)[0][share(8, World(rank, processes, torch.device("cpu")))] for rank in range(processes)]
    assert np.array_equal(np.concatenate(step), rows.training(40, 8)[0])
    for rank, mine in enumerate(step):
        here = share(8, World(rank, processes, torch.device("cpu")))
        assert np.array_equal(rows.training(40 + here.start, here.stop - here.start)[0], mine)


def test_a_mixture_draws_by_its_weights(packed: Input, tmp_path: Path) -> None:
    mixed = Rows(packed, tmp_path / ".rows", {"web": 3, "books": 1}, 0)
    numbers = mixed.order.rows(np.arange(400))
    assert np.isin(numbers, mixed.train.sources["books"]).sum() == 100
    with pytest.raises(Problem, match="expected one for each packed corpus: books, web"):
        Rows(packed, tmp_path / ".rows", {"web": 1.0}, 0)


def test_targets_are_what_follows_and_nothing_at_padding(rows: Rows) -> None:
    part = rows.train
    tokens, used = taken(part, np.arange(len(part)))
    made = targets(tokens, used)
    assert (used < 41).any()
    for row, length, wanted in zip(tokens.tolist(), used.tolist(), made.tolist(), strict=True):
        assert wanted == [*row[1:length], *[IGNORED] * (41 - length)]


def test_positions_know_their_document_and_their_place_in_it(rows: Rows) -> None:
    number, place = documents(rows.train, np.arange(len(rows.train)))
    assert number.shape == place.shape == (len(rows.train), 40)
    for b in range(len(rows.train)):
        starts = rows.train.starts[rows.train.first[b] : rows.train.first[b + 1]].tolist()
        for t in range(40):
            if t >= rows.train.used[b]:
                assert (number[b, t], place[b, t]) == (-1, -1)
            else:
                begun = [start for start in starts if start <= t]
                assert (number[b, t], place[b, t]) == (len(begun) - 1, t - begun[-1])


def test_the_documents_of_a_tokenizer_without_a_start_token_are_told_apart_too(tmp_path: Path) -> None:
    found = Rows(pack(tmp_path, foreign(tmp_path / "foreign")), tmp_path / ".rows", {}, 0)
    number, place = documents(found.train, np.arange(len(found.train)))
    assert found.start is None
    assert number.max() > 0
    assert (place[:, 0] == 0).all()


def test_a_corpus_without_validation_rows_has_none(tmp_path: Path) -> None:
    found = Rows(pack(tmp_path, tokenizer(tmp_path / "tokenizer"), validation=0.0), tmp_path / ".rows", {}, 0)
    assert found.validation_count == 0
    assert found.validation(0, 5)[0].shape == (0, 41)


def decoded(cache: Path) -> list[Path]:
    return sorted(path for path in cache.rglob("*") if path.is_file())


def test_rows_are_decoded_once_and_again_where_the_decoded_files_are_damaged(packed: Input, tmp_path: Path) -> None:
    cache = tmp_path / ".rows"
    whole = Rows(packed, cache, {}, 0).training(0, 50)[0].copy()
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in decoded(cache)}
    Rows(packed, cache, {}, 0)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in decoded(cache)} == before
    for path in before:
        path.write_bytes(path.read_bytes()[:-3])
        assert np.array_equal(Rows(packed, cache, {}, 0).training(0, 50)[0], whole)
        path.unlink()
        assert np.array_equal(Rows(packed, cache, {}, 0).training(0, 50)[0], whole)


def test_what_a_killed_process_left_is_never_read(packed: Input, tmp_path: Path) -> None:
    whole = Rows(packed, tmp_path / "whole", {}, 0).training(0, 50)[0]
    left = tmp_path / ".rows" / "unfinished"
    left.mkdir(parents=True)
    (left / "train-tokens.npy").write_bytes(b"half of it")
    assert np.array_equal(Rows(packed, tmp_path / ".rows", {}, 0).training(0, 50)[0], whole)
    assert not left.exists()


def test_other_rows_are_decoded_anew_in_the_same_folder(packed: Input, tmp_path: Path) -> None:
    cache = tmp_path / ".rows"
    first = Rows(packed, cache, {}, 0)
    other = Rows(pack(tmp_path, tokenizer(tmp_path / "tokenizer"), length=20), cache, {}, 0)
    assert other.digest != first.digest
    assert other.train.tokens.shape[1] == 21
    assert np.array_equal(Rows(packed, cache, {}, 0).train.tokens, first.train.tokens)


OPEN = """
import json, sys
from pathlib import Path
from stages.stage import Input
from stages.tokens.rows import Rows
folder, cache, *names = sys.argv[1:]
print(json.dumps(Rows(Input(Path(folder), tuple(names)), Path(cache), {}, 0).training(0, 5)[0].tolist()))
"""


def test_processes_that_open_rows_at_once_read_the_same(packed: Input, tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPEN, str(packed.folder), str(tmp_path / ".rows"), *packed.names]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    seen = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    assert seen[0] == seen[1] == Rows(packed, tmp_path / ".rows", {}, 0).training(0, 5)[0].tolist()


def damaged(packed: Input, copy: Path, name: str, data: bytes) -> Input:
    copy.mkdir()
    for one in packed.names:
        (copy / one).write_bytes(data if one == name else (packed.folder / one).read_bytes())
    return Input(copy, packed.names)


@pytest.mark.parametrize("how", ["short", "flipped", "other columns", "shorter rows", "ids"])
def test_a_damaged_shard_is_named_with_what_to_do(how: str, packed: Input, tmp_path: Path) -> None:
    name = "train-00001.parquet"
    data = (packed.folder / name).read_bytes()
    frame = read_parquet(data)
    other = {
        "short": data[: len(data) // 2],
        "flipped": bytes([*data[:200], data[200] ^ 0xFF, *data[201:]]),
        "other columns": encode(frame.drop("used"), {key: dtype for key, dtype in PACKED.items() if key != "used"}),
        "shorter rows": encode(frame.with_columns(pl.col("tokens").list.head(40)), PACKED),
        "ids": encode(frame.with_columns(pl.col("tokens").list.eval(pl.element() + 100)), PACKED),
    }[how]
    with pytest.raises(Problem, match=f"the packed shard .*{name} is damaged: .* Delete it and run the flow again"):
        Rows(damaged(packed, tmp_path / "copy", name, other), tmp_path / ".rows", {}, 0)


def test_a_folder_that_is_no_packing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train-00000.parquet").write_bytes(b"")
    with pytest.raises(Problem, match=r"cannot read packing.json .* expected the artifact of `pack`"):
        Rows(folder(tmp_path), tmp_path / ".rows", {}, 0)
