"""What may be deleted (`winnow gc`): data files that no kept run needs, and leftovers of runs that died.

Kept: the files of every snapshot in the newest completed run of each (flow, parameters), and in runs of it that were killed since, and
all that these snapshots descend from. Never deleted: snapshots, recipes and run records; with them, and the crawl, everything
deleted can be made again.

While a run is at work its new shards are in no snapshot yet, and it counts on old ones that no kept run needs: then nothing is garbage.
"""

import json
from dataclasses import dataclass

from storage import snapshot as snapshots_of
from storage.artifact import artifacts
from storage.lineage import provenance
from storage.problem import Problem
from storage.runs import RunRecord, records, state_of
from storage.store import Store, unfinished

MECHANICS = ("store", "engine", "workers", "address", "notify")  # parameters that change no output


@dataclass(frozen=True)
class Garbage:
    path: str
    bytes: int
    why: str


def needed(store: Store) -> set[str]:
    """References of all snapshots whose data is kept."""
    newest: dict[str, RunRecord] = {}
    kept: list[RunRecord] = []
    for record in records(store):  # the newest first
        parameters = {name: value for name, value in record.parameters.items() if name not in MECHANICS}
        identity = json.dumps([record.flow, parameters], sort_keys=True)
        if identity in newest:
            continue
        if record.state == "completed":
            newest[identity] = record
        elif record.state == "running":
            kept.append(record)
    nodes = provenance(store)
    references: set[str] = set()
    todo = [made.reference for record in [*kept, *newest.values()] for made in record.artifacts.values()]
    while todo:
        reference = todo.pop()
        if reference not in references:
            references.add(reference)
            todo += nodes[reference].inputs.values() if reference in nodes else []
    return references


def garbage(store: Store) -> list[Garbage]:
    """Everything that `winnow gc --delete` would delete. Raises Problem while a run is at work on this store."""
    for record in records(store):
        if state_of(store, record) == "running":
            raise Problem(
                f"the run {record.id} ({record.flow}, on {record.host}) is at work on {store.url!r}, and what it needs cannot be told from "
                "garbage until it has ended; wait for it or stop it, then collect again"
            )
    references = needed(store)
    found: list[Garbage] = []
    for stage, key in artifacts(store):
        folder = f"{stage}/{key}"
        kept = {"recipe.json"}
        for one in snapshots_of.snapshots(store, stage, key):
            if one.reference in references:
                kept |= {file.name for file in one.files}
        for path, size in store.walk(folder):
            name = path.removeprefix(f"{folder}/")
            if unfinished(name):
                found.append(Garbage(path, size, "left by a run that died"))
            elif name not in kept and not name.startswith("snapshots/"):
                found.append(Garbage(path, size, "no kept run needs it"))
    return found
