"""A snapshot: the files of one dataset at one time, by digest. Immutable, and reproducible to the byte.

`id = sha256(stage key + sorted (file, digest))[:12]`. When a crawl grows, the artifact's folder grows and gets another snapshot.
"""

import contextlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from storage.canonical import canonical, digest
from storage.shards import File
from storage.store import Store


@dataclass(frozen=True)
class Snapshot:
    stage: str
    key: str
    files: tuple[File, ...]
    stats: Mapping[str, Any] = field(default_factory=dict)
    """What a whole stage reports of itself: counts, scores. Empty for shard stages."""

    @staticmethod
    def of(stage: str, key: str, files: Sequence[File], stats: Mapping[str, Any] | None = None) -> "Snapshot":
        return Snapshot(stage, key, tuple(sorted(files, key=lambda file: file.name)), stats or {})

    @cached_property
    def id(self) -> str:
        return digest([self.stage, self.key, [[file.name, file.digest] for file in self.files]], 12)

    @property
    def folder(self) -> str:
        return f"{self.stage}/{self.key}"

    @property
    def reference(self) -> str:
        return f"{self.stage}/{self.key}@{self.id}"

    @property
    def shards(self) -> list[File]:
        return [file for file in self.files if file.rows is not None]

    @property
    def tables(self) -> dict[str, list[File]]:
        """The Parquet files by the table that they are parts of; the shards, named "", come first."""
        found: dict[str, list[File]] = {}
        for file in sorted(self.shards, key=lambda file: file.origin is None):
            found.setdefault(file.table, []).append(file)
        return found

    @property
    def rows(self) -> int:
        return sum(file.rows or 0 for file in self.files)

    @property
    def kept(self) -> int:
        return sum(file.kept for file in self.files)

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def reasons(self) -> dict[str, int]:
        """Dropped rows by reason, the most frequent first."""
        counts: Counter[str] = Counter()
        for file in self.files:
            counts.update(file.reasons or {})
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def document(self) -> dict[str, Any]:
        """What its file holds; `sha256` is over all the rest, since `id` does not speak of rows, reasons and stats."""
        document = {
            "id": self.id,
            "stage": self.stage,
            "key": self.key,
            "rows": self.rows,
            "bytes": self.bytes,
            "stats": dict(self.stats),
            "files": [file.document() for file in self.files],
        }
        return document | {"sha256": digest(document)}

    def seal(self, store: Store) -> bool:
        """Write it unless it is there; says whether it was new."""
        path = f"{self.folder}/snapshots/{self.id}.json"
        data = (canonical(self.document()) + "\n").encode()
        if f"{self.id}.json" in store.sizes(f"{self.folder}/snapshots") and store.read(path) == data:
            return False
        store.write(path, data)
        return True


def load(store: Store, stage: str, key: str, snapshot: str) -> Snapshot:
    """Raises FileNotFoundError where there is none, ValueError where it is damaged."""
    document = json.loads(store.read(f"{stage}/{key}/snapshots/{snapshot}.json"))
    loaded = Snapshot(stage, key, tuple(File(**file) for file in document["files"]), document["stats"])
    if loaded.id != snapshot or loaded.document() != document:
        raise ValueError(f"{stage}/{key}/snapshots/{snapshot}.json is not as it was written; delete it and run the flow again")
    return loaded


def snapshots(store: Store, stage: str, key: str) -> Iterator[Snapshot]:
    """Every readable snapshot of an artifact, the one that lists most first; damaged ones are left out (`winnow verify` names them)."""
    sizes = store.sizes(f"{stage}/{key}/snapshots")
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            yield load(store, stage, key, name.removesuffix(".json"))
