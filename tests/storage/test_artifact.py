"""Names that a person may give an artifact."""

from pathlib import Path

import pytest

from storage.artifact import resolve
from storage.problem import Problem
from storage.runs import RunRecord
from storage.shards import File
from storage.snapshot import Snapshot
from storage.store import Store


def made(store: Store, record: RunRecord, name: str, stage: str, key: str) -> Snapshot:
    snapshot = Snapshot.of(stage, key, [], {})
    snapshot.seal(store)
    record.add(name, snapshot, {}, False, 1.0)
    record.save(store)
    return snapshot


def test_a_step_is_found_by_its_own_name_and_else_by_that_of_its_stage(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    older, newer = RunRecord("posttrain", {}, id="1"), RunRecord("posttrain", {}, id="2")
    second = made(store, older, "sft", "sft", "b" * 12)
    first = made(store, newer, "sft_first", "sft", "a" * 12)
    scored = [
        made(store, newer, f"evaluate_chat_{when}", "evaluate_chat", key * 12) for when, key in (("base", "c"), ("first", "d"))
    ]
    assert resolve(store, "sft_first@latest") == first
    assert resolve(store, "sft") == second  # the newest run has none of that name
    assert resolve(store, "evaluate_chat") == scored[-1]
    with pytest.raises(Problem, match="no artifact 'sft_second'"):
        resolve(store, "sft_second")


def test_a_file_stands_for_the_artifact_that_has_it(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    file = File("my-Q8_0.gguf", 1, "0" * 64, None)
    snapshot = Snapshot.of("quantize", "a" * 12, [file], {})
    snapshot.seal(store)
    record = RunRecord("release", {}, id="1")
    record.add("quantize", snapshot, {}, False, 1.0)
    record.save(store)
    for name in ("quantize", f"quantize/{'a' * 12}", f"{tmp_path}/quantize/{'a' * 12}"):
        assert resolve(store, f"{name}/my-Q8_0.gguf") == snapshot
    newer = Snapshot.of("quantize", "b" * 12, [File("other-Q8_0.gguf", 1, "1" * 64, None)], {})
    newer.seal(store)
    record = RunRecord("release", {"name": "other"}, id="2")
    record.add("quantize", newer, {}, False, 1.0)
    record.save(store)
    assert resolve(store, "quantize") == resolve(store, "quantize/other-Q8_0.gguf") == newer
    assert resolve(store, "quantize/my-Q8_0.gguf") == snapshot
    with pytest.raises(Problem, match=r"has no file 'my-Q8_0.gguf'; it has: other-Q8_0.gguf"):
        resolve(store, f"quantize/{'b' * 12}/my-Q8_0.gguf")
    with pytest.raises(Problem, match=r"has no file 'my-Q4_0.gguf'; it has: other-Q8_0.gguf"):
        resolve(store, "quantize/my-Q4_0.gguf")
    with pytest.raises(Problem, match="no artifact 'quantise'"):
        resolve(store, "quantise/my-Q8_0.gguf")
