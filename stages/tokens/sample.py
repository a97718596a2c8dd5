"""Which documents a tokenizer is trained on, and on which it is measured: drawn by a hash of their ids.

In: shards with id, text and, where they have them, language and reason (only rows without one count). A document's place is the hash of
its id: the first documents, up to `most` bytes, are trained on; the last, a twentieth of the bytes and at most HELD_OUT of them, are
measured and not trained on. So the choice depends neither on shards nor on their order, and a corpus that grows keeps most of it.

Memory: 16 bytes a document, and one batch of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from storage.problem import Problem

U64 = npt.NDArray[np.uint64]

HELD_OUT = 8 << 20
"""Bytes that are measured at most."""
FEW = 20
"""In a corpus of fewer documents none is held out; what is measured is what was trained on."""
UNKNOWN = "und"
"""Language of a document that names none (ISO 639)."""
_BATCH = 256  # documents


@dataclass(frozen=True)
class Sample:
    """Documents by the hashes of their ids: trained on where up to `trained`, measured where from `measured` on."""

    seed: int
    trained: int
    measured: int
    documents: int
    """Trained on."""
    bytes: int
    """Of these."""
    held_out: int
    """Documents that are measured and not trained on; 0: those trained on are measured."""


def draw(shards: Sequence[Path], most: int, seed: int) -> Sample:
    """Raises Problem where there is no text at all, or no column of it."""
    hashes, sizes = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    for batch in _batches(shards):
        hashes.append(_hashes(batch["id"], seed))
        sizes.append(pc.binary_length(batch["text"]).to_numpy(zero_copy_only=False).astype(np.int64))
    place, size = np.concatenate(hashes), np.concatenate(sizes)
    if not len(place):
        raise Problem(
            f"the corpus has no text: {len(shards)} shards without a document that was kept; expected one document or more. "
            "`winnow show` says which stage dropped them"
        )
    order = np.argsort(place, kind="stable")
    place, before = place[order], np.concatenate(([0], np.cumsum(size[order])))
    count, total = len(place), int(before[-1])
    share = min(total // 20, HELD_OUT)
    held_out = 0 if count < FEW else max(1, count - int(np.searchsorted(before, total - share)))
    documents = min(int(np.searchsorted(before, most)), count - held_out)  # the last may go beyond `most`
    measured = place[count - held_out] if held_out else np.uint64(0)
    return Sample(seed, int(place[documents - 1]), int(measured), documents, int(before[documents]), held_out)


def trained(shards: Sequence[Path], sample: Sample) -> Iterator[str]:
    """The texts to train on."""
    for text, _ in _documents(shards, sample, lambda place: place <= np.uint64(sample.trained)):
        yield text


def measured(shards: Sequence[Path], sample: Sample) -> Iterator[tuple[str, str]]:
    """(text, language) of the documents to measure."""
    if sample.held_out:
        return _documents(shards, sample, lambda place: place >= np.uint64(sample.measured))
    return _documents(shards, sample, lambda place: place <= np.uint64(sample.trained))


def _documents(
    shards: Sequence[Path], sample: Sample, wanted: Callable[[U64], npt.NDArray[np.bool_]]
) -> Iterator[tuple[str, str]]:
    for batch in _batches(shards):
        chosen = batch.filter(pa.array(wanted(_hashes(batch["id"], sample.seed))))
        languages = chosen["language"].to_pylist() if "language" in chosen.column_names else [None] * chosen.num_rows
        for text, language in zip(chosen["text"].to_pylist(), languages, strict=True):
            yield text, language or UNKNOWN


def _batches(shards: Sequence[Path]) -> Iterator[pa.Table]:
    """The rows that count: without a reason, with a text that is not empty."""
    for path in shards:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            names = file.schema_arrow.names
            if missing := [name for name in ("id", "text") if name not in names]:
                raise Problem(
                    f"{path.name} has no column {missing[0]}, expected documents with id and text; its columns: {names}"
                )
            columns = [name for name in ("id", "text", "language", "reason") if name in names]
            for batch in file.iter_batches(_BATCH, columns=columns):
                rows = pa.Table.from_batches([batch])
                rows = rows.filter(pc.greater(pc.binary_length(rows["text"]), 0))
                yield rows.filter(pc.is_null(rows["reason"])) if "reason" in columns else rows


def _hashes(ids: pa.ChunkedArray, seed: int) -> U64:
    return np.fromiter((xxhash.xxh3_64_intdigest(one or "", seed) for one in ids.to_pylist()), np.uint64, len(ids))
