"""What is there is left alone, what is missing is made, and nothing wrong is ever used."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flows.engines.local import LocalEngine
from flows.materialize import StageError, materialize
from storage.problem import Problem
from storage.shards import read_shard
from storage.store import Store
from tests.flows.toy import (
    BELOW,
    DEADLY,
    FAULTY,
    INTERRUPTED,
    MARKED,
    SQUARES,
    UNMARKED,
    BelowConfig,
    NoConfig,
    context,
    files_of,
    numbers,
    times_of,
)

FILES = {"crawl/a.warc.gz": [1, 2, 3, 9], "crawl/b.warc.gz": [4, 5, 6], "other/a.warc.gz": [7]}


def everything(
    store: Store, engine: LocalEngine, files: dict[str, list[int]] = FILES, largest: int = 5, heard: list[str] | None = None
):
    made = context(store, engine, heard)
    docs = numbers(made, files)
    below = materialize(made, BELOW, BelowConfig(largest=largest), docs)
    squares = materialize(made, SQUARES, NoConfig(), below)
    marked = materialize(made, MARKED, NoConfig(), given={"docs": squares})
    return [docs, below, squares, marked, materialize(made, UNMARKED, NoConfig(), squares, {"marked": marked})]


def test_a_second_run_writes_nothing_and_says_that_all_is_cached(tmp_path: Path, engine: LocalEngine) -> None:
    store = Store(str(tmp_path))
    first = everything(store, engine)
    times = times_of(store)
    second = everything(store, engine)
    assert [one.cached for one in first] == [False] * 5
    assert [one.cached for one in second] == [True] * 5
    assert times_of(store) == times
    assert [one.snapshot for one in first] == [one.snapshot for one in second]


def test_a_whole_stage_takes_its_documents_by_name_or_by_place(tmp_path: Path, engine: LocalEngine) -> None:
    made = context(Store(str(tmp_path)), engine)
    docs = numbers(made, FILES)
    by_name = materialize(made, MARKED, NoConfig(), given={"docs": docs})
    by_place = materialize(made, MARKED, NoConfig(), docs)
    assert by_place.snapshot == by_name.snapshot
    assert by_place.cached
    assert by_place.inputs == by_name.inputs == {"docs": docs.snapshot.reference}


def test_rows_and_reasons_go_through_as_declared(tmp_path: Path, engine: LocalEngine) -> None:
    store = Store(str(tmp_path))
    _, below, squares, marked, last = everything(store, engine)
    assert (below.snapshot.rows, below.snapshot.kept, below.snapshot.reasons) == (8, 5, {"large": 3})
    assert squares.snapshot.rows == 5
    assert marked.snapshot.stats == {"shards": 3}
    frames = [read_shard(store, last.snapshot.folder, file) for file in last.snapshot.shards]
    rows = {row["number"]: row for frame in frames for row in frame.to_dicts()}
    assert rows[4] == {"id": "crawl/b.warc.gz:4", "number": 4, "square": 16, "even": True}
    assert sorted(rows) == [1, 2, 3, 4, 5]


def test_a_new_file_computes_its_own_shards_only(tmp_path: Path, engine: LocalEngine) -> None:
    store = Store(str(tmp_path))
    everything(store, engine)
    before = times_of(store)
    grown = everything(store, engine, FILES | {"crawl/c.warc.gz": [2, 8]})
    after = times_of(store)
    assert {path: after[path] for path in before} == before
    new = sorted(path.partition("/")[0] for path in after if path not in before)
    # `marked` is a whole stage: it runs again over everything, into a folder of its own
    assert new == ["below", "marked", "marked", "marked", "marked", "numbers", "squares", "unmarked"]
    assert grown[4].snapshot.rows == 6


def test_a_threshold_changes_only_the_stages_below(tmp_path: Path, engine: LocalEngine) -> None:
    store = Store(str(tmp_path))
    everything(store, engine)
    changed = everything(store, engine, largest=6)
    assert [one.cached for one in changed] == [True, False, False, False, False]
    back = everything(store, engine)
    assert all(one.cached for one in back)


def test_the_bytes_do_not_depend_on_workers_order_or_interruption(tmp_path: Path, engine: LocalEngine) -> None:
    straight = Store(str(tmp_path / "straight"))
    everything(straight, engine)
    single = Store(str(tmp_path / "single"))
    lone = LocalEngine(1)
    made = context(single, lone)
    docs = numbers(made, dict(reversed(FILES.items())))
    materialize(made, BELOW, BelowConfig(), docs)
    lone.close()
    everything(single, engine)
    assert files_of(single) == files_of(straight)


def test_any_file_deleted_or_truncated_costs_its_making_and_nothing_else(tmp_path: Path, engine: LocalEngine) -> None:
    store = Store(str(tmp_path))
    everything(store, engine)
    whole = files_of(store)
    for name, data in whole.items():
        for damage in ("deleted", "truncated"):
            if damage == "deleted":
                (tmp_path / name).unlink()
            else:
                (tmp_path / name).write_bytes(data[: len(data) // 2])
            everything(store, engine)
            assert files_of(store) == whole, f"{name} {damage}"


def test_an_altered_recipe_or_snapshot_is_written_anew(tmp_path: Path, engine: LocalEngine) -> None:
    store = Store(str(tmp_path))
    everything(store, engine)
    whole = files_of(store)
    for path in [*tmp_path.glob("*/*/recipe.json"), *tmp_path.glob("*/*/snapshots/*.json")]:
        path.write_text(path.read_text().replace("1", "2"))
    everything(store, engine)
    assert files_of(store) == whole


def test_an_altered_input_of_a_whole_stage_is_refused_and_named(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    fresh = LocalEngine(1)  # a worker checks an artifact once
    made = context(store, fresh)
    squares = materialize(made, SQUARES, NoConfig(), numbers(made, FILES))
    altered = next(tmp_path.glob("squares/*/*.parquet"))
    data = bytearray(altered.read_bytes())
    data[10] ^= 1
    altered.write_bytes(data)
    with pytest.raises(Problem, match=f"{altered.name} has changed since it was written"):
        materialize(made, MARKED, NoConfig(), given={"docs": squares})
    fresh.close()


def test_a_whole_stage_that_died_finds_its_checkpoint_and_leaves_no_stale_output(tmp_path: Path, engine: LocalEngine) -> None:
    store = Store(str(tmp_path))
    made = materialize(context(store, engine), INTERRUPTED, NoConfig(), given={})
    assert {file.name for file in made.snapshot.files} == {"second.txt"}
    assert store.read(f"{made.snapshot.folder}/second.txt") == b"half"
    assert [path for path, _ in store.walk(made.snapshot.folder)] == [
        f"{made.snapshot.folder}/{name}" for name in ("recipe.json", "second.txt", f"snapshots/{made.snapshot.id}.json")
    ]


def test_a_source_that_goes_is_no_longer_in_any_snapshot(tmp_path: Path, engine: LocalEngine) -> None:
    store, straight = Store(str(tmp_path / "store")), Store(str(tmp_path / "straight"))
    everything(store, engine)
    fewer = dict(list(FILES.items())[1:])
    assert [one.snapshot for one in everything(store, engine, fewer)] == [
        one.snapshot for one in everything(straight, engine, fewer)
    ]


def test_two_runs_at_the_same_moment_leave_what_one_leaves(tmp_path: Path, engine: LocalEngine) -> None:
    straight, shared = Store(str(tmp_path / "straight")), Store(str(tmp_path / "shared"))
    pools = [LocalEngine(1), LocalEngine(1)]
    with ThreadPoolExecutor(2) as threads:
        runs = [threads.submit(everything, shared, pool, FILES, largest) for pool, largest in zip(pools, (5, 6), strict=True)]
        for run in runs:
            run.result()
    for pool, largest in zip(pools, (5, 6), strict=True):
        pool.close()
        everything(straight, engine, largest=largest)
    assert files_of(shared) == files_of(straight)


def test_a_shard_from_before_a_crash_is_reused_and_a_broken_one_made_anew(tmp_path: Path, engine: LocalEngine) -> None:
    store = Store(str(tmp_path))
    everything(store, engine)
    whole = files_of(store)
    for snapshot in tmp_path.glob("below/*/snapshots/*.json"):
        snapshot.unlink()  # as if the run had died before it
    good, broken, *_ = sorted(tmp_path.glob("below/*/*.parquet"))
    broken.write_bytes(broken.read_bytes()[:-30])
    time = good.stat().st_mtime_ns
    heard: list[str] = []
    everything(store, engine, heard=heard)
    assert files_of(store) == whole
    assert good.stat().st_mtime_ns == time
    assert len(heard) == 1
    assert "damaged" in heard[0]


def test_an_altered_input_is_refused_and_named(tmp_path: Path, engine: LocalEngine) -> None:
    store = Store(str(tmp_path))
    made = context(store, engine)
    docs = numbers(made, FILES)
    altered = next(tmp_path.glob("numbers/*/*.parquet"))
    data = bytearray(altered.read_bytes())
    data[10] ^= 1
    altered.write_bytes(data)
    with pytest.raises(Problem, match=f"{altered.name} has changed since it was written"):
        materialize(made, BELOW, BelowConfig(), docs)


def test_pages_that_no_worker_survives_become_rows_with_a_reason(tmp_path: Path, engine: LocalEngine) -> None:
    store = Store(str(tmp_path))
    heard: list[str] = []
    made = context(store, engine, heard)
    docs = numbers(made, {"a.warc": [1, 2, 13, 4, 99, 5, 13], "b.warc": [6, 7]})
    deadly = materialize(made, DEADLY, NoConfig(), docs)
    assert deadly.snapshot.reasons == {"deadly_error:crashed": 2, "deadly_error:cpu_limit": 1}
    [shard] = [file for file in deadly.snapshot.shards if file.rows == 7]
    rows = read_shard(store, deadly.snapshot.folder, shard).to_dicts()
    assert [row["number"] for row in rows] == [1, 2, 13, 4, 99, 5, 13]
    assert [row["text"] for row in rows] == ["ok", "ok", None, "ok", None, "ok", None]
    assert any("a.warc:99" in said and "SIGXCPU" in said for said in heard)


def test_a_fault_of_a_stage_is_shown_with_its_traceback(tmp_path: Path, engine: LocalEngine) -> None:
    made = context(Store(str(tmp_path)), engine)
    with pytest.raises(StageError, match="ZeroDivisionError: no number can do this") as error:
        materialize(made, FAULTY, NoConfig(), numbers(made, FILES))
    assert "toy.py" in str(error.value)


def test_files_of_equal_name_and_content_keep_their_own_shards(tmp_path: Path, engine: LocalEngine) -> None:
    store = Store(str(tmp_path))
    made = context(store, engine)
    docs = numbers(made, {"x/a.warc": [50], "y/a.warc": [60]})
    below = materialize(made, BELOW, BelowConfig(), docs)
    empty = materialize(made, SQUARES, NoConfig(), below)  # nothing is left: equal contents, two histories
    assert empty.snapshot.rows == 0
    assert len(empty.snapshot.shards) == 2
