"""`/`: what is in the store, in pipeline order: what was done, how many rows, which run made it, what was made from it.

| parameter | means |
|---|---|
| `stage` | every snapshot of one stage; without it the newest FEW of each |
| `page` | of that stage, SIZE on a page |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from storage import artifact
from storage.runs import RunRecord, records
from storage.store import Store
from storage.viewer.listing import Figures, History, all_of, history, newest
from storage.viewer.page import Page, Viewer, number, only, recipe_of, render

RECENT = 8  # runs listed beside the artifacts
FEW = 10
SIZE = 100
USES = 20  # of what was made from a snapshot, those that are named


@dataclass(frozen=True)
class Entry:
    snapshot: Figures
    version: int | None
    config: Mapping[str, Any]
    made: RunRecord | None
    """The first run that holds it; None where no record does."""
    newest: bool
    """Of the newest run of its stage; the others are older, or of other settings."""
    used_by: tuple[str, ...]
    """References of what was made from it, USES at most."""
    uses: int
    """How many there are."""


def view(viewer: Viewer, request: Request) -> Response:
    only(request, "stage", "page")
    runs = list(records(viewer.store))
    known = history(runs)
    stage = request.query_params.get("stage", "")
    page = number(request, "page", 1, 1, 1_000_000)
    stages = artifact.stages(viewer.store)
    if stage and stage not in stages:
        raise HTTPException(
            404, f"no stage {stage!r} in the store {viewer.store.url}; it has: {', '.join(stages) or 'nothing yet'}"
        )
    total = 0
    listed: list[tuple[str, list[Entry], bool]] = []
    if stage:
        every = all_of(viewer.store, stage, known)
        total = len(every)
        here = every[(page - 1) * SIZE : page * SIZE]
        listed = [(stage, [entry(viewer.store, one, known) for one in here], False)]
    else:
        for name in in_order(stages, runs):
            found, more = newest(viewer.store, name, known, FEW)
            listed += [(name, [entry(viewer.store, one, known) for one in found], more)] if found else []
    return render(
        viewer,
        request,
        "catalogue.html",
        stages=listed,
        stage=stage,
        total=total,
        page=page,
        pages=max(1, -(-total // SIZE)),
        runs=runs[:RECENT],
        more=len(runs) > RECENT,
    )


def entry(store: Store, one: Figures, known: History) -> Entry:
    recipe = recipe_of(store, one.folder)
    uses = list(known.uses[one.reference])
    first = next(iter(known.newest[one.stage]), None)
    made = known.first.get(one.reference)
    return Entry(one, recipe["version"], recipe["config"], made, first == one.reference, tuple(uses[:USES]), len(uses))


def in_order(stages: list[str], runs: list[RunRecord]) -> list[str]:
    """Stages in the order in which the newest run made them; what only older runs made comes after, then the rest by name."""
    order = list(dict.fromkeys(stage for run in runs for stage in run.artifacts))
    return sorted(stages, key=lambda name: (order.index(name) if name in order else len(order), name))


PAGE = Page("/", view, "Catalogue")
