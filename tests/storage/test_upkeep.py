"""Resolve, lineage, verify, gc and locks over a small store made by hand."""

import multiprocessing
from pathlib import Path

import polars as pl
import pytest

from storage.artifact import resolve
from storage.collect import garbage
from storage.lineage import ancestors, mermaid
from storage.locks import lock
from storage.problem import Problem
from storage.runs import RunRecord
from storage.shards import write_shard
from storage.snapshot import Snapshot
from storage.store import Store
from storage.verify import verify

COLUMNS = {"n": pl.Int64()}
RECORDS, CORPUS, OLD = "aaaaaaaaaaaa", "bbbbbbbbbbbb", "bbbbcccccccc"


def sealed(store: Store, stage: str, key: str, numbers: list[int]) -> Snapshot:
    files = [write_shard(store, f"{stage}/{key}", f"{n}.parquet", pl.DataFrame({"n": [n]}), COLUMNS, "o") for n in numbers]
    one = Snapshot.of(stage, key, files)
    one.seal(store)
    store.write(f"{stage}/{key}/recipe.json", b"{}")
    return one


def ran(
    store: Store, name: str, config: dict[str, int], made: list[tuple[Snapshot, dict[str, str]]], state: str = "completed"
) -> None:
    record = RunRecord("corpus", {"sources": ["x"], "c4": config, "workers": len(name)}, id=name)
    for snapshot, inputs in made:
        record.add(snapshot.stage, snapshot, inputs, False, 1.0)
    record.finish(store, state)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two runs of one config, of which the later saw the crawl grow, and before them a run of another config that failed."""
    store = Store(str(tmp_path / "store"))
    small = sealed(store, "records", RECORDS, [1])
    ran(store, "20260101T000000Z-000000", {"min": 1}, [(sealed(store, "corpus", OLD, [9]), {"docs": small.reference})], "failed")
    early = sealed(store, "corpus", CORPUS, [5])
    ran(
        store,
        "20260102T000000Z-000000",
        {"min": 2},
        [(small, {}), (early, {"docs": small.reference, "lists": "file:0123456789abcdef"})],
    )
    grown = sealed(store, "records", RECORDS, [1, 2])
    late = sealed(store, "corpus", CORPUS, [6, 7])
    ran(store, "20260103T000000Z-00000000", {"min": 2}, [(grown, {}), (late, {"docs": grown.reference})])
    return store


@pytest.mark.parametrize("text", ["corpus", "corpus@latest", CORPUS, "bbbbbb", f"corpus/{CORPUS}", f"store/corpus/{CORPUS}/"])
def test_an_artifact_has_many_names_and_one_newest_snapshot(store: Store, text: str) -> None:
    assert [file.name for file in resolve(store, text).files] == ["6.parquet", "7.parquet"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("corpse", r"no artifact 'corpse' .* It has: corpus, records"),
        ("bbbb", "beginning of 2 keys"),
        (f"corpus/{CORPUS}@ffffffffffff", "no snapshot ffffffffffff"),
    ],
)
def test_a_name_that_means_nothing_says_what_there_is(store: Store, text: str, message: str) -> None:
    with pytest.raises(Problem, match=message):
        resolve(store, text)


def test_lineage_goes_back_to_the_beginning(store: Store) -> None:
    nodes = ancestors(store, resolve(store, "corpus"))
    assert [node.reference.partition("/")[0] for node in nodes] == ["records", "corpus"]
    assert f"records_{RECORDS}" in mermaid(nodes)


def test_a_sound_store_has_no_findings(store: Store) -> None:
    assert verify(store) == []


def test_every_kind_of_damage_is_found_and_named(store: Store) -> None:
    folder = f"corpus/{CORPUS}"
    store.local(f"{folder}/5.parquet").unlink()
    store.local(f"{folder}/6.parquet").write_bytes(b"short")
    data = bytearray(store.read(f"{folder}/7.parquet"))
    data[9] ^= 1
    store.local(f"{folder}/7.parquet").write_bytes(data)
    store.write(f"{folder}/8.parquet", b"")
    store.write(f"{folder}/.partial-1-x.parquet", b"")
    store.write(f"{folder}/snapshots/eeeeeeeeeeee.json", b"{")
    found = {finding.path.rpartition("/")[2]: (finding.problem, finding.harmful) for finding in verify(store)}
    assert found == {
        "5.parquet": ("missing", True),
        "6.parquet": ("truncated", True),
        "7.parquet": ("altered", True),
        "8.parquet": ("unlisted", False),
        ".partial-1-x.parquet": ("unfinished", False),
        "eeeeeeeeeeee.json": ("damaged snapshot", True),
    }


def test_gc_keeps_what_the_newest_run_of_each_config_needs(store: Store) -> None:
    store.write(f"corpus/{CORPUS}/.partial-1-x.parquet", b"")
    paths = {one.path for one in garbage(store)}
    assert paths == {f"corpus/{CORPUS}/5.parquet", f"corpus/{OLD}/9.parquet", f"corpus/{CORPUS}/.partial-1-x.parquet"}
    for path in paths:
        store.remove(path)
    assert verify(store, resolve(store, "corpus")) == []
    assert verify(store, resolve(store, "records")) == []
    assert garbage(store) == []


def test_gc_spares_a_run_that_has_not_finished(store: Store) -> None:
    ran(store, "20260104T000000Z-000000", {"min": 9}, [(resolve(store, OLD), {})], "running")
    assert f"corpus/{OLD}/9.parquet" not in {one.path for one in garbage(store)}


def _hold(url: str, ready: object, go: object) -> None:
    with lock(Store(url), "c4-0", lambda who: None):
        ready.set()  # type: ignore[attr-defined]
        go.wait(30)  # type: ignore[attr-defined]


def test_a_lock_makes_the_second_wait_and_death_frees_it(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    ready, go = spawn.Event(), spawn.Event()
    holder = spawn.Process(target=_hold, args=(str(tmp_path), ready, go))
    holder.start()
    assert ready.wait(30)
    told: list[str] = []

    def killed_once_told(who: str) -> None:
        told.append(who)
        holder.kill()

    with lock(Store(str(tmp_path)), "c4-0", killed_once_told):
        pass
    assert len(told) == 1
    assert f"process {holder.pid}" in told[0]
