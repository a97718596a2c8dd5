"""What a person may call an artifact, and the snapshot that is meant.

| text | means |
|---|---|
| `c4@latest` or `c4` | the newest snapshot of that stage by flow run |
| `sft_first` | likewise, of a step that has a name of its own in a flow, where a stage is used more than once |
| `0123456789ab` (or its first 4 or more digits) | a key, or a snapshot |
| `c4/0123456789ab`, `c4/0123456789ab@ba9876543210` | exactly that, as run records and recipes write it |
| `store/c4/0123456789ab` | a path to the folder |
| any of these and `/model-Q4_K_M.gguf` | the newest that has this file |
"""

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

from storage import snapshot as snapshots_of
from storage.problem import Problem
from storage.runs import records
from storage.snapshot import Snapshot
from storage.store import Store

_HEX = re.compile(r"[0-9a-f]{4,12}")
_FOLDER = re.compile(r"(?:.*/)?(?P<stage>[a-z][a-z0-9_]*)/(?P<key>[0-9a-f]{12})(?:@(?P<snapshot>[0-9a-f]{12}))?/?")

BESIDE = ("runs", "reports")
"""Folders of a store that hold no artifacts: what runs did, and pages about models."""


def resolve(store: Store, text: str) -> Snapshot:
    """Raises Problem, naming what there is, where `text` means no artifact or several."""
    folder = _FOLDER.fullmatch(text)
    if folder:
        return _newest(store, folder["stage"], folder["key"], folder["snapshot"], text)
    name = text.removesuffix("@latest")
    if reference := _latest(store, name):
        stage, key, snapshot = re.split("[/@]", reference)
        return _newest(store, stage, key, snapshot, text)
    if name in stages(store):
        raise Problem(f"no run of this store got as far as {name!r}, or its record is gone; run the flow again")
    if _HEX.fullmatch(text):
        found = [(stage, key) for stage, key in artifacts(store) if key.startswith(text)]
        if len(found) == 1:
            return _newest(store, *found[0], None, text)
        if len(found) > 1:
            raise Problem(
                f"{text!r} is the beginning of {len(found)} keys: {', '.join('/'.join(one) for one in found)}; give more digits"
            )
        for stage, key in artifacts(store):
            for one in snapshots_of.snapshots(store, stage, key):
                if one.id.startswith(text):
                    return one
    artifact, slash, file = text.rpartition("/")
    if slash and "." in file:
        found_in = resolve(store, artifact)
        for one in (found_in, *_made(store, artifact)):
            if any(known.name == file for known in one.files):
                return one
        raise Problem(f"{found_in.reference} has no file {file!r}; it has: {', '.join(one.name for one in found_in.files)}")
    known = stages(store)
    raise Problem(
        f"no artifact {text!r} in the store {store.url!r}. "
        + (f"It has: {', '.join(known)}. " if known else "It is empty: run `winnow demo` or `winnow run corpus` first. ")
        + "Give a stage (c4), a key, stage/key, stage/key@snapshot or a path, and the store with --store"
    )


def _latest(store: Store, name: str) -> str | None:
    """The reference of what the newest run made under that name; where none did, of what one made by the stage of that name."""
    for record in records(store):
        if name in record.artifacts:
            return record.artifacts[name].reference
    for record in records(store):
        for made in reversed(record.artifacts.values()):
            if made.reference.startswith(f"{name}/"):
                return made.reference
    return None


def _made(store: Store, stage: str) -> Iterator[Snapshot]:
    """What runs made by that stage, the newest first."""
    for record in records(store):
        for made in record.artifacts.values():
            if made.reference.startswith(f"{stage}/"):
                with contextlib.suppress(Problem):
                    yield resolve(store, made.reference)


def _newest(store: Store, stage: str, key: str, snapshot: str | None, text: str) -> Snapshot:
    if snapshot:
        try:
            return snapshots_of.load(store, stage, key, snapshot)
        except FileNotFoundError:
            raise Problem(f"{text!r}: no snapshot {snapshot} in {store.full(f'{stage}/{key}')}; run the flow again") from None
        except (ValueError, KeyError, TypeError) as error:
            raise Problem(f"{text!r}: the snapshot is damaged ({error}); delete it and run the flow again") from None
    known = {one.id: one for one in snapshots_of.snapshots(store, stage, key)}
    for record in records(store):
        made = record.artifacts.get(stage)
        if made and made.reference.startswith(f"{stage}/{key}@") and made.reference.partition("@")[2] in known:
            return known[made.reference.partition("@")[2]]
    if known:
        return max(known.values(), key=lambda one: (one.rows, one.id))
    raise Problem(
        f"{text!r}: {store.full(f'{stage}/{key}')} holds no snapshot; the run that began it did not finish this stage. Run it again"
    )


def stages(store: Store) -> list[str]:
    return [name for name in store.folders("") if name not in BESIDE and not name.startswith(".")]


def artifacts(store: Store) -> Iterator[tuple[str, str]]:
    """(stage, key) of every artifact folder."""
    for stage in stages(store):
        for key in store.folders(stage):
            yield stage, key


def recipe(store: Store, stage: str, key: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(store.read(f"{stage}/{key}/recipe.json"))
    return document
