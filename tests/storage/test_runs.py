"""Run records: read once when their run has ended, read again as long as it goes on."""

from pathlib import Path

from storage.runs import RunRecord, load, records
from storage.store import Store


def test_a_run_at_work_is_read_again_and_an_ended_one_is_not(tmp_path: Path) -> None:
    store, record = Store(str(tmp_path)), RunRecord("corpus", {"note": "aa"})
    record.save(store)
    assert next(records(store)).parameters == {"note": "aa"}
    record.parameters["note"] = "bb"  # as many bytes as before
    record.save(store)
    assert next(records(store)).parameters == {"note": "bb"}
    record.finish(store, "completed")
    assert next(records(store)).state == "completed"
    assert next(records(store)) is next(records(store))
    assert load(store, f"{record.id}.json") is not next(records(store))
    store.remove(f"runs/{record.id}.json")
    assert list(records(store)) == []
