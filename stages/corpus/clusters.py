"""Clusters of near-duplicates: documents whose signatures agree in a whole band, and whatever such agreements connect.

In: `signatures` (every shard of them). Out: for each of its shards one shard of the same name, empty or not, with a row for each
of its documents that has a near-duplicate anywhere:

| column | type | meaning |
|---|---|---|
| row | i64 | place of the document in the shard of signatures: ids may repeat |
| id | string | of the document |
| cluster | string | id of the document that is kept: the first by name of shard, then by row |
| minhash_cluster_size | i64 | documents in the cluster, the kept one included |
| removed | bool | false for the kept one |

A shard thus says nothing of other documents' clusters, and a crawl that grows changes only the shards whose duplicates changed.

Memory: about 450 bytes a document (its id, 8 bytes for each band twice, the sort of one band); 10^6 documents take 5 CPU-seconds.
A band is compared by a 64-bit hash of its rows: with 10^8 documents, one false agreement is to be expected in some 260 runs.

Source: Lee et al. 2022, "Deduplicating Training Data Makes Language Models Better", section 4.2; the clusters are the connected
components that datatrove 0.10.1 finds (it keeps an arbitrary document of each). Left out: keeping the newest or the longest document;
a check of the true similarity of two documents; an index of documents seen in other crawls.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from stages.stage import Config, Input, Stage
from storage.problem import Problem
from storage.shards import encode, read_parquet

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

REMOVED: dict[str, pl.DataType] = {
    "row": pl.Int64(),
    "id": pl.String(),
    "cluster": pl.String(),
    "minhash_cluster_size": pl.Int64(),
    "removed": pl.Boolean(),
}


class ClustersConfig(Config):
    """Two documents are candidates if all `rows` hashes of one of the `bands` agree."""

    bands: int = Field(14, ge=1, le=4096)
    """Bands: more of them find more pairs (FineWeb: 14)."""
    rows: int = Field(8, ge=1, le=4096)
    """Hashes in a band: more of them ask for a higher similarity (FineWeb: 8)."""


def probability(similarity: float, bands: int = 14, rows: int = 8) -> float:
    """Chance that two documents of this Jaccard similarity agree in a band: 1 - (1 - s^rows)^bands; .75 -> .77, .8 -> .92."""
    return float(1 - (1 - similarity**rows) ** bands)


def band_keys(signatures: pl.Series, config: ClustersConfig) -> U64:
    """One hash for each band of each signature (binary, none null): u64 [documents, bands]."""
    if signatures.is_empty():
        return np.empty((0, config.bands), np.uint64)
    hashes = np.frombuffer(b"".join(signatures.to_list()), "<u8").reshape(len(signatures), -1)
    used = config.bands * config.rows
    if hashes.shape[1] < used:
        raise Problem(
            f"found signatures of {hashes.shape[1]} hashes, expected {used} or more ({config.bands} bands x {config.rows} "
            "rows); lower one of the two or raise the signatures' `hashes`"
        )
    cut = hashes[:, :used].reshape(-1, config.bands, config.rows)
    keys = np.zeros(cut.shape[:2], np.uint64)
    for row in range(config.rows):  # the mixing step of splitmix64
        keys = (keys ^ cut[:, :, row]) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(29)
    return keys


def components(keys: U64) -> I64:
    """For each document the lowest index in its connected component, where an equal key in any band connects: i64 [documents]."""
    first = np.arange(len(keys))
    for key in keys.T:
        order = np.argsort(key)
        in_order = key[order]
        same = in_order[1:] == in_order[:-1]
        if not same.any():
            continue
        pairs = first[np.stack([order[1:][same], order[:-1][same]])]
        nodes, places = np.unique(pairs, return_inverse=True)
        left, right = places.reshape(2, -1)
        graph = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(len(nodes), len(nodes)))
        label = connected_components(graph, directed=False)[1]
        lowest = np.unique(label, return_index=True)[1]  # nodes are sorted: the first of a label is its lowest
        root = np.arange(len(keys))
        root[nodes] = nodes[lowest[label]]
        first = root[first]
    return first


def run(inputs: Mapping[str, Input], out: Path, config: ClustersConfig) -> dict[str, float]:
    """Write the `removed` shards to `out`. Back: numbers of all documents, of those too short for a signature, of clusters (two
    or more documents), of duplicates (to be removed), and of documents in the largest cluster."""
    shards = inputs["signatures"].shards
    ids, keys, signed = [], [], []
    for path in shards:
        shard = read_parquet(str(path), ["id", "signature"])
        ids.append(shard["id"])
        keys.append(band_keys(shard["signature"].drop_nulls(), config))
        signed.append(shard["signature"].is_not_null().to_numpy())

    documents = sum(map(len, ids))
    first = np.arange(documents)
    if shards:
        has_signature = np.flatnonzero(np.concatenate(signed))
        first[has_signature] = has_signature[components(np.concatenate(keys))]
    size = np.bincount(first, minlength=documents)[first]
    removed = first != np.arange(documents)

    all_ids = pl.concat([pl.Series("id", [], pl.String), *ids])
    start = 0
    for path, shard_ids in zip(shards, ids, strict=True):
        row = np.flatnonzero(size[start : start + len(shard_ids)] > 1)
        at = start + row
        columns = {
            "row": row,
            "id": shard_ids.gather(row),
            "cluster": all_ids.gather(first[at]),
            "minhash_cluster_size": size[at],
            "removed": removed[at],
        }
        (out / path.name).write_bytes(encode(pl.DataFrame(columns, schema=REMOVED), REMOVED))
        start += len(shard_ids)

    return {
        "documents": documents,
        "unsigned": documents - sum(map(len, keys)),
        "clusters": int(np.count_nonzero((size > 1) & ~removed)),
        "duplicates": int(np.count_nonzero(removed)),
        "removed_fraction": float(np.count_nonzero(removed) / max(documents, 1)),
        "largest_cluster": int(size.max(initial=0)),
    }


CLUSTERS = Stage(name="clusters", version=1, run=run, config=ClustersConfig, shape="whole")
