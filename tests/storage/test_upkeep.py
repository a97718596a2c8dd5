"""Resolve, lineage, verify, gc and locks over a small store made by hand."""

import json
from pathlib import Path

import polars as pl
import pytest

from storage.artifact import resolve
from storage.collect import garbage
from storage.lineage import ancestors, mermaid
from storage.locks import lock
from storage.problem import Problem
from storage.recipe import Recipe
from storage.runs import RunRecord
from storage.shards import write_shard
from storage.snapshot import Snapshot
from storage.store import Store
from storage.verify import verify

COLUMNS = {"n": pl.Int64()}
RECIPES = [Recipe("records", 1, {}, {}), Recipe("corpus", 1, {"min": 632}, {}), Recipe("corpus", 1, {"min": 223}, {})]
RECORDS, CORPUS, OLD = (recipe.key for recipe in RECIPES)  # the keys of the last two begin with 0bc6


def sealed(store: Store, stage: str, key: str, numbers: list[int]) -> Snapshot:
    [recipe] = [recipe for recipe in RECIPES if recipe.key == key]
    files = [write_shard(store, f"{stage}/{key}", f"{n}.parquet", pl.DataFrame({"n": [n]}), COLUMNS, "o") for n in numbers]
    one = Snapshot.of(stage, key, files)
    one.seal(store)
    store.write(f"{stage}/{key}/recipe.json", json.dumps(recipe.document()).encode())
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


@pytest.mark.parametrize("text", ["corpus", "corpus@latest", CORPUS, CORPUS[:6], f"corpus/{CORPUS}", f"store/corpus/{CORPUS}/"])
def test_an_artifact_has_many_names_and_one_newest_snapshot(store: Store, text: str) -> None:
    assert [file.name for file in resolve(store, text).files] == ["6.parquet", "7.parquet"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("corpse", r"no artifact 'corpse' .* It has: corpus, records"),
        ("0bc6", "beginning of 2 keys"),
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
    store.local(f"records/{RECORDS}/1.parquet").unlink()
    store.local(f"{folder}/5.parquet").unlink()
    store.local(f"{folder}/6.parquet").write_bytes(b"short")
    data = bytearray(store.read(f"{folder}/7.parquet"))
    data[9] ^= 1
    store.local(f"{folder}/7.parquet").write_bytes(data)
    store.write(f"{folder}/8.parquet", b"")
    store.write(f"{folder}/.partial-1-x.parquet", b"")
    store.write(f"{folder}/snapshots/eeeeeeeeeeee.json", b"{")
    store.write(f"{folder}/recipe.json", json.dumps(RECIPES[0].document()).encode())
    store.local(f"records/{RECORDS}/recipe.json").unlink()
    store.write(f"{folder}/.partial-work/.checkpoint", b"")
    findings = {finding.path: (finding.problem, finding.harmful) for finding in verify(store)}
    assert findings.pop(f"records/{RECORDS}/recipe.json") == ("missing", True)
    found = {path.rpartition("/")[2]: finding for path, finding in findings.items()}
    assert found == {
        "recipe.json": ("damaged recipe", True),
        ".checkpoint": ("unfinished", False),
        "1.parquet": ("missing", True),
        "5.parquet": ("collected", False),  # of a snapshot that no kept run needs
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
    assert {finding.problem for finding in verify(store)} == {"collected"}  # deleted on purpose: no damage


def test_gc_spares_what_a_killed_run_made_until_a_run_of_the_same_parameters_completes(store: Store) -> None:
    spared = [(resolve(store, OLD), {})]
    ran(store, "20260104T000000Z-000000", {"min": 9}, spared, "running")
    assert f"corpus/{OLD}/9.parquet" not in {one.path for one in garbage(store)}
    ran(store, "20260105T000000Z-00000", {"min": 9}, [(resolve(store, CORPUS), {})])
    assert f"corpus/{OLD}/9.parquet" in {one.path for one in garbage(store)}


def test_gc_waits_for_a_run_that_is_at_work(store: Store) -> None:
    """Its new shards are in no snapshot yet, and it may count on old ones that no finished run needs."""
    record = RunRecord("corpus", {})
    with lock(store, record.lock, lambda who: None):
        record.save(store)
        with pytest.raises(Problem, match=f"the run {record.id} .* is at work"):
            garbage(store)
    assert f"corpus/{OLD}/9.parquet" in {one.path for one in garbage(store)}


def test_the_latest_is_the_latest_also_within_a_second() -> None:
    ids = [RunRecord("corpus", {}).id for _ in range(20)]
    assert ids == sorted(ids)


def test_a_damaged_snapshot_is_a_clear_error_and_not_another_answer(store: Store) -> None:
    reference = resolve(store, "records").reference
    path = f"records/{RECORDS}/snapshots/{reference.rpartition('@')[2]}.json"
    store.write(path, store.read(path).replace(b'"rows":2', b'"rows":3'))
    with pytest.raises(Problem, match="the snapshot is damaged"):
        resolve(store, reference)


def test_a_damaged_run_record_hides_no_other(store: Store) -> None:
    for damage in (b"", b"null", b"[]", b"{}", b'{"artifacts": 1}'):
        store.write("runs/20270101T000000Z-000000.json", damage)
        assert resolve(store, "corpus").key == CORPUS
