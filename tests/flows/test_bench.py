"""`winnow bench viewer`, over a tiny dataset: what it makes, what it measures, what it leaves behind."""

import json
from pathlib import Path

import polars as pl
import psutil
import pytest
from typer.testing import CliRunner

from flows.__main__ import app
from flows.commands.bench.viewer import NEEDLE, dataset
from storage.problem import Problem
from storage.shards import read_shard
from storage.store import Store


def test_the_dataset_is_a_sealed_artifact_and_is_made_once(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    snapshot = dataset(store, 2_500, 4)
    assert [file.rows for file in snapshot.shards] == [625] * 4
    rows = pl.concat([read_shard(store, snapshot.folder, file) for file in snapshot.shards])
    assert rows["id"].n_unique() == 2_500
    assert rows["text"].str.contains(NEEDLE).arg_true().to_list() == [2_499]
    assert 0 < snapshot.reasons["too_few_sentences"] < 250
    assert rows.filter(pl.col("reason").is_not_null())["reason_value"].max() == 4.0  # type: ignore[comparison-overlap]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    assert dataset(store, 2_500, 4) == snapshot
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")} == before
    with pytest.raises(Problem, match="at least one row for each"):
        dataset(store, 3, 4)


def test_it_measures_every_page_and_leaves_no_process(tmp_path: Path) -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    given = ["bench", "viewer", "--rows", "3000", "--shards", "2", "--repeat", "1", "--folder", str(tmp_path / "data")]
    done = CliRunner().invoke(app, [*given, "--json"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout.splitlines()[-1])
    names = [page["name"] for page in document["pages"]]
    assert [name for name in ("first page", "page 30", "search: the last row", "columns: histograms") if name not in names] == []
    assert all(page["first_ms"] > 0 and page["median_ms"] > 0 and page["kilobytes"] > 1 for page in document["pages"])
    assert 20 < document["idle_mb"] <= document["peak_mb"] < 2_000
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before
    text = CliRunner().invoke(app, given).stdout
    assert "3,000 rows in 2 shards" in text
    assert "median of 1, ms" in text
    assert "memory of the viewer" in text
