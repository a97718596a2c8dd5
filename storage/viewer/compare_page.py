"""`/compare?a=REF&b=REF`: two snapshots side by side. Without `b`, a choice among those of the same stage; without both, of every stage."""

import re
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from storage.artifact import resolve, stages
from storage.problem import Problem
from storage.runs import records
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer import compare
from storage.viewer.listing import Figures, History, history, newest
from storage.viewer.page import ARTIFACT, Page, Viewer, chosen, number, only, recipe_of, render

SIZE = 50
SECONDS = 2
MANY, FEW = 200, 10  # snapshots offered of the same stage, and of each other
NAMED = 20  # shards that are listed by name


def view(viewer: Viewer, request: Request) -> Response:
    only(request, "a", "b", "from", "seconds")
    given = [request.query_params.get(name, "").strip() for name in ("a", "b")]
    if not all(given):
        a = resolve(viewer.store, given[0] or given[1]) if any(given) else None
        return render(viewer, request, "compare_choice.html", a=a, choices=_choices(viewer.store, a))
    a, b = (resolve(viewer.store, text) for text in given)
    start = request.query_params.get("from", "") or "0.0"
    if not re.fullmatch(r"\d{1,9}\.\d{1,9}", start, re.ASCII):
        raise Problem(f"from={start[:40]!r}: expected a pair of shards and documents to skip, such as 3.50")
    place, skip = (int(part) for part in start.split("."))
    seconds = number(request, "seconds", SECONDS, 1, 60)
    differing, equal = compare.settings(_described(viewer, a), _described(viewer, b))
    page = compare.documents(viewer.store, a, b, (place, skip), SIZE, seconds)

    def link(**changes: str) -> str:
        return "/compare?" + urlencode({"a": a.reference, "b": b.reference} | changes)

    return render(
        viewer,
        request,
        "compare.html",
        a=a,
        b=b,
        settings=differing,
        equal=equal,
        counts=_counts(a, b),
        reasons=_reasons(a, b),
        shards=compare.shards(a, b),
        named=NAMED,
        documents=page,
        begin=place or skip,
        links={
            "swap": "/compare?" + urlencode({"a": b.reference, "b": a.reference}),
            "first": link(),
            "next": link(**{"from": "{}.{}".format(*page.next)}) if page and page.next else "",
        },
        kept=compare.KEPT,
        absent=compare.ABSENT,
        choices=_choices(viewer.store, a),
    )


def tab(viewer: Viewer, request: Request) -> Response:
    only(request)
    return RedirectResponse("/compare?" + urlencode({"a": chosen(viewer, request).reference}), 302)


def _described(viewer: Viewer, snapshot: Snapshot) -> dict[str, object]:
    found = recipe_of(viewer.store, snapshot.folder)
    return {"stage": snapshot.stage, "version": found["version"], **found["config"], "input": found["inputs"]}


def _counts(a: Snapshot, b: Snapshot) -> list[tuple[str, int, int]]:
    return [
        ("rows", a.rows, b.rows),
        ("kept", a.kept, b.kept),
        ("dropped", a.rows - a.kept, b.rows - b.kept),
        ("files", len(a.files), len(b.files)),
        ("bytes", a.bytes, b.bytes),
    ]


def _reasons(a: Snapshot, b: Snapshot) -> list[tuple[str, int, int]]:
    names = dict.fromkeys([*a.reasons, *b.reasons])
    return [(name, a.reasons.get(name, 0), b.reasons.get(name, 0)) for name in names]


def _choices(store: Store, a: Snapshot | None) -> list[tuple[str, str, str]]:
    """(stage, reference, what it is) of what can be chosen: of the stage of `a` the newest MANY, in front, of every other the newest FEW."""
    known = history(list(records(store)))
    return [
        (stage, one.reference, _words(store, one, known, a))
        for stage in sorted(stages(store), key=lambda stage: (a is None or stage != a.stage, stage))
        for one in newest(store, stage, known, MANY if a is not None and stage == a.stage else FEW)[0]
        if a is None or one.reference != a.reference
    ]


def _words(store: Store, one: Figures, known: History, a: Snapshot | None) -> str:
    """What one sees of a snapshot before it is chosen; of the stage of `a`, also the settings that differ from those of `a`."""
    said = [f"{one.files} files" if one.rows is None else f"{one.rows:,} rows"]
    if a is not None and a.stage == one.stage:
        differing, _ = compare.settings(recipe_of(store, a.folder)["config"], recipe_of(store, one.folder)["config"])
        said += [f"{name} {value}"[:60] for name, _, value in differing[:3]]
    if one.reference in known.first:
        said.append(known.first[one.reference].started[:16].replace("T", " "))
    return f"{one.key}@{one.id}: {', '.join(said)}"


PAGE = Page("/compare", view)
TAB = Page(f"{ARTIFACT}/compare", tab, "Compare")
