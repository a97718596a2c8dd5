import gzip
import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from datatrove.data import Document
from datatrove.pipeline.dedup.minhash import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupSignature

from stages.corpus.clusters import CLUSTERS, REMOVED, ClustersConfig, band_keys, components, probability
from stages.corpus.minhash import SIGNATURES, SignatureConfig, least, permutations
from stages.stage import Input
from storage.problem import Problem
from storage.shards import encode, read_parquet

NEARDUP = Path(__file__).parents[4] / "shared" / "data" / "neardup"
SIGNED = {"id": pl.String(), "signature": pl.Binary(), "shingles": pl.Int32()}

Hashes = tuple[int, ...] | None
A, B, C, D = (1, 1, 2, 2), (1, 1, 3, 3), (4, 4, 3, 3), (1, 5, 3, 6)  # in bands of 2: A-B and B-C agree, D with none
SMALL = ClustersConfig(bands=2, rows=2)


def write(folder: Path, shards: dict[str, list[tuple[str, Hashes]]]) -> Input:
    folder.mkdir()
    for name, rows in shards.items():
        signatures = [None if hashes is None else np.array(hashes, "<u8").tobytes() for _, hashes in rows]
        columns = {"id": [key for key, _ in rows], "signature": signatures, "shingles": [1] * len(rows)}
        (folder / name).write_bytes(encode(pl.DataFrame(columns, schema=SIGNED), SIGNED))
    return Input(folder, tuple(sorted(shards)))


def cluster(tmp_path: Path, shards: dict[str, list[tuple[str, Hashes]]], config: ClustersConfig = SMALL) -> tuple[Any, Path]:
    number = len(list(tmp_path.iterdir()))
    out = tmp_path / f"out{number}"
    out.mkdir()
    return CLUSTERS.run({"signatures": write(tmp_path / f"in{number}", shards)}, out, config), out


def rows(path: Path) -> list[tuple[Any, ...]]:
    frame = read_parquet(str(path))
    assert dict(frame.schema) == REMOVED
    return frame.rows()


def test_documents_that_agree_in_a_band_and_what_they_connect_are_one_cluster(tmp_path: Path) -> None:
    stats, out = cluster(tmp_path, {"x.parquet": [("c", C), ("d", D), ("a", A), ("b", B)]})
    assert rows(out / "x.parquet") == [(0, "c", "c", 3, False), (2, "a", "c", 3, True), (3, "b", "c", 3, True)]
    assert stats == {
        "documents": 4,
        "unsigned": 0,
        "clusters": 1,
        "duplicates": 2,
        "removed_fraction": 0.5,
        "largest_cluster": 3,
    }


def test_the_first_document_by_shard_and_row_is_kept(tmp_path: Path) -> None:
    _, out = cluster(tmp_path, {"b.parquet": [("early", A)], "a.parquet": [("other", D), ("kept", B), ("late", A)]})
    assert rows(out / "a.parquet") == [(1, "kept", "kept", 3, False), (2, "late", "kept", 3, True)]
    assert rows(out / "b.parquet") == [(0, "early", "kept", 3, True)]


def test_documents_without_a_signature_are_nobodys_duplicates(tmp_path: Path) -> None:
    stats, out = cluster(tmp_path, {"x.parquet": [("a", None), ("b", A), ("c", None), ("d", A)]})
    assert rows(out / "x.parquet") == [(1, "b", "b", 2, False), (3, "d", "b", 2, True)]
    assert stats["unsigned"] == 2


def test_equal_ids_are_different_documents(tmp_path: Path) -> None:
    shards = {"x.parquet": [("same", A), ("same", D)], "y.parquet": [("same", B), ("same", (7, 7, 7, 7))]}
    stats, out = cluster(tmp_path, shards)
    assert rows(out / "x.parquet") == [(0, "same", "same", 2, False)]
    assert rows(out / "y.parquet") == [(0, "same", "same", 2, True)]
    assert stats["documents"] == 4


def test_a_shard_is_written_for_each_shard_even_with_nothing_in_it(tmp_path: Path) -> None:
    stats, out = cluster(tmp_path, {"empty.parquet": [], "lonely.parquet": [("a", A), ("d", D)], "short.parquet": [("s", None)]})
    assert [(path.name, rows(path)) for path in sorted(out.iterdir())] == [
        ("empty.parquet", []),
        ("lonely.parquet", []),
        ("short.parquet", []),
    ]
    assert stats["clusters"] == stats["duplicates"] == 0


def test_without_any_shard_there_is_nothing_to_do(tmp_path: Path) -> None:
    stats, out = cluster(tmp_path, {})
    assert stats["documents"] == stats["largest_cluster"] == stats["removed_fraction"] == 0
    assert list(out.iterdir()) == []


def test_a_growing_crawl_changes_only_the_shards_whose_duplicates_changed(tmp_path: Path) -> None:
    before = {"b.parquet": [("b0", A), ("b1", A)], "c.parquet": [("c0", C), ("c1", D)], "d.parquet": [("d0", (9, 9, 9, 9))]}
    _, old = cluster(tmp_path, before)
    _, new = cluster(tmp_path, before | {"a.parquet": [("a0", (8, 8, 8, 8))], "e.parquet": [("e0", (9, 9, 0, 0))]})
    same = {path.name: path.read_bytes() == (new / path.name).read_bytes() for path in old.iterdir()}
    assert same == {"b.parquet": True, "c.parquet": True, "d.parquet": False}
    assert rows(new / "d.parquet") == [(0, "d0", "d0", 2, False)]


def test_signatures_too_short_for_the_bands_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"4 hashes, expected 112 or more .* raise the signatures' `hashes`"):
        cluster(tmp_path, {"x.parquet": [("a", A)]}, ClustersConfig())


def test_components_are_those_of_a_plain_search() -> None:
    keys = np.random.default_rng(3).integers(0, 200, (150, 3), dtype=np.uint64)
    expected = list(range(150))
    changed = True
    while changed:  # pass the lowest index on until nothing changes
        changed = False
        for i, j in itertools.combinations(range(150), 2):
            if expected[i] != expected[j] and (keys[i] == keys[j]).any():
                expected[i] = expected[j] = min(expected[i], expected[j])
                changed = True
    assert components(keys).tolist() == expected
    assert 1 < len(set(expected)) < 150


@pytest.mark.parametrize(("similarity", "published"), [(0.75, 0.77), (0.8, 0.924), (0.85, 0.988)])
def test_the_chance_of_agreement_is_the_published_one(similarity: float, published: float) -> None:
    assert probability(similarity) == pytest.approx(published, abs=0.003)


@pytest.mark.parametrize("shared", [50, 65, 75, 80, 90])
def test_pairs_are_found_as_often_as_theory_says(shared: int) -> None:
    pairs, random_numbers, hashes = 400, np.random.default_rng(shared), permutations(SignatureConfig())
    signatures = []
    for _ in range(pairs):
        union = random_numbers.integers(0, 2**64, 100, dtype=np.uint64)
        alone = (100 - shared) // 2
        signatures += [least(part, *hashes).tobytes() for part in (union[: shared + alone], union[alone:])]
    keys = band_keys(pl.Series(signatures), ClustersConfig())
    found = float((keys[::2] == keys[1::2]).any(axis=1).mean())
    expected = probability(shared / 100)
    assert abs(found - expected) < 4 * (expected * (1 - expected) / pairs) ** 0.5


def made_texts(count: int) -> list[str]:
    """Two thirds are new, one third repeat an earlier text with some words replaced."""
    chance = random.Random(5)
    texts: list[list[str]] = []
    for _ in range(count):
        text = (
            list(chance.choice(texts))
            if texts and chance.random() < 1 / 3
            else [f"w{chance.randrange(3000):o}" for _ in range(90)]
        )
        for _ in range(chance.randrange(4)):
            text[chance.randrange(90)] = "other"
        texts.append(text)
    return [" ".join(text).translate(str.maketrans("01234567", "abcdefgh")) for text in texts]


def test_clusters_are_those_of_datatrove(tmp_path: Path) -> None:
    texts = made_texts(240)
    theirs = [str(tmp_path / name) for name in ("signatures", "buckets", "clusters")]
    for rank in range(3):
        documents = [Document(text=text, id=text) for text in texts[rank * 80 : (rank + 1) * 80]]
        MinhashDedupSignature(theirs[0]).run(documents, rank=rank, world_size=3)
    for bucket in range(14):
        MinhashDedupBuckets(theirs[0], theirs[1]).run(rank=bucket, world_size=14)
    MinhashDedupCluster(theirs[1], theirs[2], save_cluster_id=True).run()
    expected: dict[int, set[int]] = {}
    for rank in range(3):
        for row, number in np.fromfile(f"{theirs[2]}/{rank:06d}.clusters", "<u4").reshape(-1, 2).tolist():
            expected.setdefault(number, set()).add(rank * 80 + row)

    ours: dict[int, set[int]] = {}
    docs = pl.DataFrame({"id": [str(i) for i in range(240)], "text": texts})
    signatures = SIGNATURES.run(docs, SignatureConfig(), {})["signature"]
    for document, first in enumerate(components(band_keys(signatures, ClustersConfig())).tolist()):
        ours.setdefault(first, set()).add(document)

    assert {frozenset(x) for x in ours.values() if len(x) > 1} == {frozenset(x) for x in expected.values()}
    assert len(expected) > 20


@pytest.mark.skipif(not NEARDUP.exists(), reason=f"needs the near-duplicate set in {NEARDUP}")
def test_real_pairs_are_found_as_often_as_theory_says() -> None:
    docs, pairs = (pl.read_ndjson(gzip.decompress((NEARDUP / name).read_bytes())) for name in ("docs.jsonl.gz", "pairs.jsonl.gz"))
    signatures = SIGNATURES.run(docs.rename({"doc_id": "id"}), SignatureConfig(), {})["signature"]
    keys = band_keys(signatures, ClustersConfig())
    row = {name: i for i, name in enumerate(docs["doc_id"])}
    left, right = ([row[name] for name in pairs[side]] for side in "ab")
    found = (keys[left] == keys[right]).any(axis=1)
    similarity = pairs["jaccard5"].to_numpy()
    for low in (0.2, 0.4, 0.6, 0.7, 0.8, 0.9):  # edits of one text are not independent: the tolerance is wide
        there = (similarity >= low) & (similarity < low + 0.1 + (low == 0.9))
        expected = np.mean([probability(s) for s in similarity[there]])
        assert found[there].mean() == pytest.approx(expected, abs=0.06), f"similarity from {low}"
