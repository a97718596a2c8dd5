"""What is said of a column is so of its sample, and the sample is bounded."""

import polars as pl
import pytest

from storage.shards import write_shard
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer import columns
from storage.viewer.columns import describe


def test_a_small_table_is_described_whole(store: Store, made: dict[str, Snapshot]) -> None:
    described = describe(store, made["url"], "")
    assert described.whole
    found = {one.name: one for one in described.columns}
    assert (found["score"].nulls, found["score"].low, found["score"].high) == (1, 0.0, 4.999)
    assert sum(bar.count for bar in found["score"].bars) == 4999
    assert [(bar.value, bar.count) for bar in found["reason"].bars] == [("too_short", 500)]
    assert found["reason"].nulls == 4500
    assert {bar.value: bar.count for bar in found["flag"].bars} == {"true": 2500, "false": 2500}
    assert (found["text"].of, found["text"].is_histogram) == ("characters", True)
    assert (found["tags"].of, found["tags"].low, found["tags"].high) == ("items", 2, 2)
    assert (found["reason_detail"].of, found["reason_detail"].bars) == ("nothing", ())


def test_a_large_table_is_sampled_and_says_so(store: Store, made: dict[str, Snapshot], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "SAMPLE_ROWS", 2_000)
    columns._describe.cache_clear()
    described = describe(store, made["url"], "")
    columns._describe.cache_clear()
    assert not described.whole
    assert 0 < described.seen <= 2_000
    assert described.total == 5_000


def test_a_sample_of_huge_rows_is_bounded_by_bytes(
    store: Store, made: dict[str, Snapshot], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "SAMPLE_BYTES", 20_000)
    columns._describe.cache_clear()
    described = describe(store, made["url"], "")
    columns._describe.cache_clear()
    assert 0 < described.seen < 1_000


@pytest.mark.parametrize(
    "values",
    [[], [None, None], [float("nan")], [float("inf"), 1.0], [1e308, -1e308], [0.0], [5e-324, 1.0], [1.0, 1e300] + [1.0] * 50],
)
def test_odd_numbers_are_described(tmp_path: object, values: list[float | None]) -> None:
    store = Store(str(tmp_path))
    schema = {"x": pl.Float64()}
    file = write_shard(
        store, "s/0123456789ab", "a-p0000-00000000.parquet", pl.DataFrame({"x": values}, schema=schema), schema, "o"
    )
    described = describe(store, Snapshot.of("s", "0123456789ab", [file]), "")
    assert described.seen == len(values)
    finite = [value for value in values if value is not None and value == value and abs(value) != float("inf")]
    assert sum(bar.count for bar in described.columns[0].bars) == len(finite)
