"""How large everything is: the models of a way, and the data that they learnt from. In: a way. Out: rows of figures.

Parameters are counted in the headers of the weight files (a matrix that two places share lies there once); an adapter beside a merged
model counts apart. Tokens are what the stage says it learnt from.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from storage.report.way import WEIGHTS, Station, Way
from storage.shards import File
from storage.snapshot import Snapshot
from storage.store import Store

SHAPE: dict[str, tuple[str, ...]] = {
    "architecture": ("model_type",),
    "layers": ("num_hidden_layers", "n_layer"),
    "width": ("hidden_size", "n_embd"),
    "heads": ("num_attention_heads", "n_head"),
    "key-value heads": ("num_key_value_heads",),
    "hidden": ("moe_intermediate_size", "intermediate_size", "n_inner"),
    "experts": ("num_experts",),
    "vocabulary": ("vocab_size",),
    "context": ("max_position_embeddings", "n_positions"),
}
"""Of config.json: the names of the formats that we write."""
LONGEST_HEADER = 100_000_000


@dataclass(frozen=True)
class ModelSize:
    station: Station
    parameters: int | None
    """None: no safetensors, or a file that is none."""
    adapter: int | None
    bytes: int
    """Of its weights."""
    tokens: int | None
    steps: int | None


@dataclass(frozen=True)
class DataSize:
    station: Station
    rows: int
    kept: int
    bytes: int
    tokens: int | None
    text_bytes: int | None


def models(way: Way) -> list[ModelSize]:
    return [_model(way.store, one, one.snapshot) for one in way.stations.values() if one.snapshot and _weights(one.snapshot)]


def _model(store: Store, station: Station, snapshot: Snapshot) -> ModelSize:
    weights = _weights(snapshot)
    own = [file for file in weights if not file.name.startswith("adapter/")]
    adapter = [file for file in weights if file not in own]
    stats = snapshot.stats
    return ModelSize(
        station,
        _numbers(store, snapshot, own),
        _numbers(store, snapshot, adapter) if adapter else None,
        sum(file.bytes for file in own),
        _whole(stats, "tokens"),
        _whole(stats, "steps"),
    )


def _weights(snapshot: Snapshot) -> list[File]:
    return [file for file in snapshot.files if file.name.endswith(WEIGHTS)]


def _numbers(store: Store, snapshot: Snapshot, files: list[File]) -> int | None:
    counts = [_count(store, f"{snapshot.folder}/{file.name}") for file in files]
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None


def _count(store: Store, path: str) -> int | None:
    """Numbers in a safetensors file, by its header: 8 bytes of length, then JSON; None where it is gone or no such file."""
    try:
        [length] = struct.unpack("<Q", store.fs.cat_file(store.full(path), start=0, end=8))
        if length > LONGEST_HEADER:
            return None
        header = json.loads(store.fs.cat_file(store.full(path), start=8, end=8 + length))
        return sum(int(prod(tensor["shape"])) for name, tensor in header.items() if name != "__metadata__")
    except (FileNotFoundError, struct.error, ValueError, KeyError, TypeError, AttributeError):
        return None


def shape(store: Store, snapshot: Snapshot) -> dict[str, Any]:
    """What config.json says of the model; empty where it has none."""
    if not any(file.name == "config.json" for file in snapshot.files):
        return {}
    try:
        config = json.loads(store.read(f"{snapshot.folder}/config.json"))
    except (FileNotFoundError, ValueError):
        return {}
    found = {what: next((config[name] for name in names if config.get(name) is not None), None) for what, names in SHAPE.items()}
    return {what: value for what, value in found.items() if isinstance(value, int | str)}


def data(way: Way) -> list[DataSize]:
    """The corpora of the way, and every dataset whose stage says how many tokens or bytes of text it holds."""
    found = [
        DataSize(
            one,
            one.snapshot.rows,
            one.snapshot.kept,
            one.snapshot.bytes,
            _whole(one.snapshot.stats, "train_tokens", "tokens"),
            _whole(one.snapshot.stats, "train_bytes"),
        )
        for one in way.stations.values()
        if one.snapshot and one.snapshot.shards and not _weights(one.snapshot)
    ]
    return [one for one in found if one.station.stage == "corpus" or one.tokens is not None or one.text_bytes is not None]


def _whole(stats: Mapping[str, Any], *names: str) -> int | None:
    return next((value for name in names if isinstance(value := stats.get(name), int)), None)
