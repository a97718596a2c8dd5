from pathlib import Path
from typing import Any

import polars as pl
import pytest

from stages.corpus.clusters import CLUSTERS, REMOVED, ClustersConfig
from stages.corpus.dedup import DEDUP, DedupConfig
from stages.corpus.minhash import SIGNATURES, SignatureConfig
from stages.stage import Input
from storage.shards import encode, read_parquet

BEFORE = {"id": pl.String(), "url": pl.String(), "text": pl.String()}


def documents(*ids: str) -> pl.DataFrame:
    return pl.DataFrame(
        {"id": ids, "url": [f"https://{i}.example" for i in ids], "text": [f"text of {i}" for i in ids]}, schema=BEFORE
    )


def dedup(docs: pl.DataFrame, *removed: tuple[Any, ...]) -> pl.DataFrame:
    return DEDUP.run(docs, DedupConfig(), {"removed": pl.DataFrame(list(removed), schema=REMOVED, orient="row")})


def test_all_of_a_cluster_but_the_kept_document_get_the_reason_duplicate() -> None:
    out = dedup(documents("a", "b", "c", "d"), (1, "b", "b", 2, False), (2, "c", "b", 2, True), (3, "d", "elsewhere", 9, True))
    assert out.select(
        "id", "minhash_cluster_size", "cluster", "reason", "reason_value", "reason_threshold", "reason_detail"
    ).rows() == [
        ("a", 1, None, None, None, None, None),
        ("b", 2, "b", None, None, None, None),
        ("c", 2, "b", "duplicate", 2.0, 1.0, "b"),
        ("d", 9, "elsewhere", "duplicate", 9.0, 1.0, "elsewhere"),
    ]


@pytest.mark.parametrize("ids", [(), ("a",), ("a", "b")])
def test_rows_columns_and_order_are_kept_and_declared(ids: tuple[str, ...]) -> None:
    docs = documents(*ids)
    out = dedup(docs)
    assert dict(out.schema) == DEDUP.schema(BEFORE)
    assert out.select(list(BEFORE)).equals(docs)
    assert out["reason"].null_count() == len(ids)


def test_documents_of_equal_id_are_told_apart_by_their_row() -> None:
    out = dedup(documents("same", "same", "same"), (1, "same", "kept", 2, True))
    assert out["reason"].to_list() == [None, "duplicate", None]
    assert out["minhash_cluster_size"].to_list() == [1, 2, 1]


@pytest.mark.parametrize("row", [(0, "b", "b", 2, True), (2, "a", "b", 2, True)], ids=["another id", "no such row"])
def test_a_shard_of_other_documents_is_refused(row: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="found a `removed` shard of 1 rows whose ids are not those of the 2 documents"):
        dedup(documents("a", "b"), row)


def test_near_duplicates_in_two_shards_leave_one_document(tmp_path: Path) -> None:
    story = " ".join(f"word{letter}{other}" for letter in "abcdefghij" for other in "klmnopqrst")
    shards = {
        "one.parquet": pl.DataFrame({"id": ["story", "short"], "text": [story, "too short"]}),
        "two.parquet": pl.DataFrame({"id": ["short", "copy"], "text": ["too short", f"{story.upper()}, the end."]}),
    }
    signed, out = tmp_path / "signatures", tmp_path / "clusters"
    signed.mkdir()
    out.mkdir()
    for name, docs in shards.items():
        frame = SIGNATURES.run(docs, SignatureConfig(), {})
        (signed / name).write_bytes(encode(frame, dict(frame.schema)))
    CLUSTERS.run({"signatures": Input(signed, tuple(sorted(shards)))}, out, ClustersConfig())
    decided = {
        name: DEDUP.run(docs, DedupConfig(), {"removed": read_parquet(str(out / name))})
        .select("id", "reason", "reason_detail")
        .rows()
        for name, docs in shards.items()
    }
    assert decided == {
        "one.parquet": [("story", None, None), ("short", None, None)],
        "two.parquet": [("short", None, None), ("copy", "duplicate", "story")],
    }


def test_near_duplicates_may_stay_with_the_size_of_their_cluster() -> None:
    docs = pl.DataFrame({"id": ["a", "b"], "text": ["one", "one"]})
    removed = pl.DataFrame([(0, "a", "a", 2, False), (1, "b", "a", 2, True)], schema=REMOVED, orient="row")
    out = DEDUP.run(docs, DedupConfig(drop=False), {"removed": removed})
    assert out["reason"].to_list() == [None, None]
    assert out["minhash_cluster_size"].to_list() == [2, 2]
