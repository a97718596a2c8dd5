"""Where an artifact comes from, as a picture and as a table: `/{stage}/{key}@{snapshot}/lineage`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from storage.lineage import Node, ancestors
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer.layers import BOX, Drawing, draw
from storage.viewer.page import ARTIFACT, Page, Viewer, address, chosen, loaded, only, render
from storage.viewer.units import count, size
from storage.viewer.visible import name_of

LETTERS = 22  # of a stage's name that fit into a box
_REFERENCE = re.compile(r"([a-z][a-z0-9_]*)/([0-9a-f]{12})@([0-9a-f]{12})")


@dataclass(frozen=True)
class Box:
    kind: str
    """artifact | here | file | unknown"""
    name: str
    facts: str
    detail: str
    path: str | None
    run: str | None = None
    inputs: tuple[tuple[str, str], ...] = ()
    """(name of the input, its box)."""

    @property
    def title(self) -> str:
        return self.name if len(self.name) <= LETTERS else f"{self.name[: LETTERS - 1]}…"


def view(viewer: Viewer, request: Request) -> Response:
    only(request)
    snapshot = chosen(viewer, request)
    nodes = ancestors(viewer.store, snapshot)
    found = boxes(viewer.store, nodes, snapshot)
    drawing = drawn(found)
    return render(
        viewer,
        request,
        "lineage.html",
        snapshot,
        boxes=found,
        drawing=drawing,
        box_width=BOX[0],
        box_height=BOX[1],
        recorded=bool(nodes),
    )


def drawn(found: Mapping[str, Box]) -> Drawing:
    return draw({identity: [parent for _, parent in box.inputs] for identity, box in found.items()})


def boxes(store: Store, nodes: list[Node], here: Snapshot) -> dict[str, Box]:
    """Inputs before what is made from them; a file is drawn once for each stage that reads it."""
    found: dict[str, Box] = {}
    for node in nodes:
        inputs: list[tuple[str, str]] = []
        for name, parent in node.inputs.items():
            identity = f"{node.reference} {name}" if parent.startswith("file:") else parent
            if parent.startswith("file:"):
                found[identity] = Box("file", name_of(name), "file", name_of(parent.removeprefix("file:")[:12]), None)
            elif identity not in found:
                found[identity] = _artifact(store, parent, here)  # no run record says how it was made
            if identity not in [one for _, one in inputs]:
                inputs.append((name_of(name), identity))
        found[node.reference] = _artifact(store, node.reference, here, node.run, tuple(inputs))
    return found or {here.reference: _artifact(store, here.reference, here)}


def _artifact(
    store: Store, reference: str, here: Snapshot, run: str | None = None, inputs: tuple[tuple[str, str], ...] = ()
) -> Box:
    match = _REFERENCE.fullmatch(reference)
    try:
        if match is None:
            raise ValueError(reference)
        snapshot = loaded(store, *match.groups())
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        stage, _, rest = reference.partition("/")
        return Box("unknown", name_of(stage), "not in this store", name_of(rest)[:25], None, run, inputs)
    kind = "here" if reference == here.reference else "artifact"
    key = f"{snapshot.key}@{snapshot.id[:6]}"
    return Box(kind, snapshot.stage, _facts(snapshot), key, address(reference), run, inputs)


def _facts(snapshot: Snapshot) -> str:
    if not snapshot.shards:
        return f"{count(len(snapshot.files))} file{'' if len(snapshot.files) == 1 else 's'}, {size(snapshot.bytes)}"
    rows = f"{count(snapshot.rows)} row{'' if snapshot.rows == 1 else 's'}"
    return rows if snapshot.kept == snapshot.rows else f"{rows}, {count(snapshot.kept)} kept"


PAGE = Page(f"{ARTIFACT}/lineage", view, "Lineage")
