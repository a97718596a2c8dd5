"""Metrics as curves: `/{stage}/{key}@{snapshot}/curves`: one chart for each, several runs over each other.

A dataset has this page if a table of it holds an integer column `step`, one row for each, and a column of floating-point numbers (`metrics.parquet`:
step, tokens, loss, lr, grad_norm ...; null where a metric was not measured).

| parameter | means |
|---|---|
| `table` | which Parquet file of a whole stage; none: the first that fits |
| `log` | a metric with a logarithmic scale; as often as wanted |
| `smooth` | percent of the run over which each point is a mean: 0, 1, 5 or 20 |
| `with` | `stage/key@snapshot`, another run over this one; at most OTHERS |
"""

import re
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from storage.problem import Problem
from storage.runs import records
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer import chart, compare, curves, tables
from storage.viewer.chart import Line
from storage.viewer.curves import Curve, Curves, smoothed
from storage.viewer.dataset import link
from storage.viewer.page import ARTIFACT, Page, Viewer, address, chosen, loaded, only, recipe_of, render
from storage.viewer.rows import Query
from storage.viewer.tables import Table

OTHERS = 4
CHOICES = 50  # other artifacts of the stage that are listed
SMOOTH = (0, 1, 5, 20)
EXPECTED = "an integer column step, one row for each step, and a column of floating-point numbers"
_REFERENCE = re.compile(r"([a-z][a-z0-9_]*)/([0-9a-f]{12})@([0-9a-f]{12})")


@dataclass(frozen=True)
class State:
    """What the address asks for."""

    snapshot: Snapshot
    table: str
    log: tuple[str, ...]
    smooth: int
    others: tuple[str, ...]

    @property
    def path(self) -> str:
        pairs = [("table", self.table)] if self.table else []
        pairs += [("log", name) for name in self.log]
        pairs += [("smooth", str(self.smooth))] if self.smooth else []
        pairs += [("with", one) for one in self.others]
        return address(self.snapshot.reference, "/curves") + (f"?{urlencode(pairs, errors='replace')}" if pairs else "")


@dataclass(frozen=True)
class Run:
    snapshot: Snapshot
    curves: Curves
    differing: tuple[tuple[str, Any], ...]
    """Settings in which it and the first run are not alike; of the first run, those in which any other differs."""
    without: str
    """The page without it."""


def view(viewer: Viewer, request: Request) -> Response:
    only(request, "table", "log", "smooth", "with")
    snapshot = chosen(viewer, request)
    table = tables.fitting(viewer.store, snapshot, request.query_params.get("table", ""), curves.fits, EXPECTED)
    state = _state(request, snapshot, table)
    others = [_other(viewer.store, state, reference) for reference in state.others]
    mine = {name: value for run in others for name, value, _ in _differing(viewer.store, snapshot, run.snapshot)}
    runs = [Run(snapshot, curves.read(viewer.store, table), tuple(mine.items()), ""), *others]
    return render(
        viewer,
        request,
        "curves.html",
        snapshot,
        state=state,
        table=table,
        tables=tables.having(viewer.store, snapshot, curves.fits),
        runs=runs,
        charts=[_chart(state, name, runs) for name in dict.fromkeys(one.name for run in runs for one in run.curves.curves)],
        smoothing=[(percent, replace(state, smooth=percent).path, percent == state.smooth) for percent in SMOOTH],
        choices=_choices(viewer.store, state) if len(state.others) < OTHERS else [],
        rows=link(Query(snapshot, table.name)),
        marker=chart.marker,
        sizes=(chart.WIDTH, chart.HEIGHT, chart.LEFT, chart.RIGHT, chart.TOP, chart.BOTTOM),
    )


def _state(request: Request, snapshot: Snapshot, table: Table) -> State:
    given = request.query_params
    smooth = given.get("smooth", "") or "0"
    if smooth not in map(str, SMOOTH):
        raise Problem(f"smooth={smooth[:40]!r}: expected one of {', '.join(map(str, SMOOTH))} (percent of the run)")
    others = tuple(one for one in dict.fromkeys(given.getlist("with")) if one and one != snapshot.reference)
    if len(others) > OTHERS:
        raise Problem(f"{len(others)} other runs; {OTHERS} are the most that can be told apart")
    return State(snapshot, table.name, tuple(dict.fromkeys(given.getlist("log")))[: curves.METRICS], int(smooth), others)


def _other(store: Store, state: State, reference: str) -> Run:
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise Problem(f"with={reference[:80]!r}: expected stage/key@snapshot")
    try:
        snapshot = loaded(store, *match.groups())
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        raise Problem(f"with={reference!r}: the store {store.url} has no such snapshot; choose one from the list") from None
    same = state.table if any(one.name == state.table for one in tables.tables(snapshot)) else ""
    table = tables.fitting(store, snapshot, same, curves.fits, EXPECTED)
    left = replace(state, others=tuple(one for one in state.others if one != reference))
    settings = tuple((name, value) for name, _, value in _differing(store, state.snapshot, snapshot))
    return Run(snapshot, curves.read(store, table), settings, left.path)


def _differing(store: Store, here: Snapshot, other: Snapshot) -> list[tuple[str, Any, Any]]:
    """(setting, here, there)."""
    return compare.settings(recipe_of(store, here.folder)["config"], recipe_of(store, other.folder)["config"])[0]


def _chart(state: State, name: str, runs: list[Run]) -> dict[str, Any]:
    """What the template draws of one metric."""
    log = name in state.log
    there: list[tuple[int, Curve]] = [
        (place, one) for place, run in enumerate(runs) for one in run.curves.curves if one.name == name
    ]
    lines: list[Line] = []
    for place, one in there:
        if state.smooth and one.points:
            mean = smoothed(one, state.smooth)
            lines += [Line(place, one.points, None, raw=True), Line(place, mean, mean[-1] if mean else None, bad=one.bad)]
        else:
            lines.append(Line(place, one.points, one.last, bad=one.bad))
    others = tuple(one for one in state.log if one != name) if log else (*state.log, name)
    return {
        "name": name,
        "curves": there,
        "log": log,
        "turn": replace(state, log=others).path,
        "drawing": chart.draw(lines, log),
    }


def _choices(store: Store, state: State) -> list[tuple[str, str]]:
    """(reference, what sets it apart) of other artifacts of the stage with such a table, the newest run's first."""
    here, stage = state.snapshot, state.snapshot.stage
    made = [one.artifacts[stage].reference for one in records(store) if stage in one.artifacts]
    found: list[tuple[str, str]] = []
    for reference in list(dict.fromkeys(made))[: 2 * CHOICES]:
        match = _REFERENCE.fullmatch(reference)
        if match is None or reference == here.reference or reference in state.others or len(found) == CHOICES:
            continue
        try:
            one = loaded(store, *match.groups())
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            continue  # deleted or damaged: it cannot be chosen
        if any(other.name == state.table for other in tables.tables(one)):
            settings = [f"{name} {value}"[:60] for name, _, value in _differing(store, here, one)[:3]]
            found.append((reference, ", ".join([f"{one.key}@{one.id[:6]}", *settings])))
    return found


def _offered(store: Store, snapshot: Snapshot) -> bool:
    return bool(tables.having(store, snapshot, curves.fits))


PAGE = Page(f"{ARTIFACT}/curves", view, "Curves", _offered)
