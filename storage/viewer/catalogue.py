"""`/`: everything in the store, in pipeline order: what was done, how many rows, which run made it, what was made from it."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from storage.artifact import artifacts, recipe
from storage.runs import RunRecord, records
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer.page import Page, Viewer, loaded, only, render

RECENT = 8  # runs listed beside the artifacts


@dataclass(frozen=True)
class Entry:
    snapshot: Snapshot
    version: int | None
    config: dict[str, Any]
    made: RunRecord | None
    """The first run that holds it; None where no record does."""
    newest: bool
    """Of the newest run of its stage; the others are older, or of other settings."""
    used_by: tuple[str, ...]
    """References of what was made from it."""

    @property
    def when(self) -> str:
        return self.made.started if self.made else ""


def view(viewer: Viewer, request: Request) -> Response:
    only(request)
    runs = list(records(viewer.store))
    stages = catalogue(viewer.store, runs)
    return render(viewer, request, "catalogue.html", stages=stages, runs=runs[:RECENT], more=len(runs) > RECENT)


def catalogue(store: Store, runs: list[RunRecord]) -> list[tuple[str, list[Entry]]]:
    """(stage, its snapshots, the newest first), in the order of the newest run; stages that it does not have follow by name."""
    first: dict[str, RunRecord] = {}
    newest: dict[str, str] = {}
    uses: dict[str, dict[str, None]] = defaultdict(dict)
    for run in runs:
        for stage, made in run.artifacts.items():
            first[made.reference] = run
            newest.setdefault(stage, made.reference)
            for source in made.inputs.values():
                uses[source][made.reference] = None
    found: dict[str, list[Entry]] = defaultdict(list)
    for stage, key in artifacts(store):
        version, config = _recipe(store, stage, key)
        for snapshot in _snapshots(store, stage, key):
            one = snapshot.reference
            found[stage].append(Entry(snapshot, version, config, first.get(one), newest.get(stage) == one, tuple(uses[one])))
    order = pipeline(runs)
    names = sorted(found, key=lambda name: (order.index(name) if name in order else len(order), name))
    return [(name, sorted(found[name], key=lambda entry: (entry.newest, entry.when), reverse=True)) for name in names]


def pipeline(runs: list[RunRecord]) -> list[str]:
    """Stages in the order in which the newest run made them; what only older runs made comes after."""
    return list(dict.fromkeys(stage for run in runs for stage in run.artifacts))


def _recipe(store: Store, stage: str, key: str) -> tuple[int | None, dict[str, Any]]:
    try:
        document = recipe(store, stage, key)
        return document["version"], document["config"]
    except (FileNotFoundError, ValueError, KeyError):
        return None, {}


def _snapshots(store: Store, stage: str, key: str) -> list[Snapshot]:
    found: list[Snapshot] = []
    for name in store.sizes(f"{stage}/{key}/snapshots"):
        try:
            found.append(loaded(store, stage, key, name.removesuffix(".json")))
        except (ValueError, KeyError, TypeError):
            continue  # damaged: `winnow verify` names it, and its page says so
    return found


PAGE = Page("/", view, "Catalogue")
