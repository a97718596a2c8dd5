"""Corpora against each other, end to end on a small made-up web: what is held out is in no training set, and what is shared is made once."""

import json
from pathlib import Path

import polars as pl
import pytest

from storage.artifact import resolve
from storage.runs import records
from storage.shards import read_shard
from storage.store import Store
from tests.flows.conftest import Winnow

SETTINGS = {
    "simulate": {"pages": 300, "files": 2},
    "variants": {
        "all filters": {},
        "no filter": {"without": ["language", "gopher_repetition", "gopher_quality", "c4", "fineweb", "dedup"]},
    },
    "seeds": 2,
    "hold_out": {"share": 0.1},
    "tokenizer": {"size": 400},
    "pack": {"row_length": 64},
    "pretrain": {
        "shape": {"width": 32, "layers": 1, "heads": 2, "kv_heads": 1, "head_width": 16, "hidden": 64},
        "steps": 5,
        "rows": 4,
        "prompts": [],
    },
    "evaluate_base": {"cloze": {"facts": 20}, "in_context": {"questions": 5}, "prompted": {"questions": 5}},
    "compute": {"threads": 1},
}


@pytest.mark.slow
def test_two_variants_are_compared_on_text_that_neither_was_trained_on(winnow: Winnow, lists: Path, tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(SETTINGS | {"lists": str(lists)}))
    url = str(tmp_path / "store")
    made = json.loads(winnow("run", "ablate", "--config", str(settings), "--store", url, "--json").stdout.splitlines()[-1])[
        "artifacts"
    ]
    store = Store(url)

    table = pl.read_parquet(f"{made['compare']['path']}/comparison.parquet")
    assert set(table["variant"]) == {"all filters", "no filter"}
    assert set(table["set"]) == {"all text", "reference", "world facts"}
    assert (table["seeds"] == 2).all()
    assert table.filter(pl.col("variant") == "no filter")["low"].is_not_null().all()

    held = made["validation"]
    validation = set(pl.read_parquet(f"{held['path']}/documents.parquet")["id"])
    assert len(validation) > 10
    [record] = records(store)
    for name in ("corpus all filters", "corpus no filter"):
        corpus = resolve(store, record.artifacts[name].reference)
        ids = {id_ for file in corpus.shards for id_ in read_shard(store, corpus.folder, file, ["id"])["id"]}
        assert ids
        assert not ids & validation
    assert made["corpus no filter"]["rows"] > made["corpus all filters"]["rows"]
    assert (
        len({record.artifacts[f"pretrain {name} {seed}"].inputs["tokenizer"] for name in SETTINGS["variants"] for seed in (0, 1)})
        == 1
    )
