"""What a page of the viewer is, and what every page is given.

A page is a module with a template and one value `PAGE`; `app.PAGES` lists it, which gives it its address and, if it has a name, its
place in the navigation: of an artifact if its path begins with `ARTIFACT` (where `fits` says so), else of the site.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any
from urllib.parse import quote

from jinja2 import Environment
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from storage import artifact
from storage import snapshot as snapshots_of
from storage.problem import Problem
from storage.runs import RunRecord, load, state_of
from storage.snapshot import Snapshot
from storage.store import Store

ARTIFACT = "/{stage}/{key}@{snapshot}"
_STAGE = re.compile(r"[a-z][a-z0-9_]{0,99}")
_HEX = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True)
class Original:
    """A page as it was crawled, transfer and content encodings undone."""

    text: str
    """Its beginning, where it is long."""
    characters: int
    """Of the whole."""
    size: int
    """Bytes."""
    encoding: str
    """By which they became text."""


Reader = Callable[[Store, Mapping[str, Any]], Original]
"""From a row that says where its page lies to the page. Raises Problem where it cannot be read."""


@dataclass(frozen=True)
class Viewer:
    store: Store
    templates: Environment
    pages: tuple["Page", ...]
    prefect: str | None
    original: Reader | None


@dataclass(frozen=True)
class Page:
    path: str
    view: Callable[[Viewer, Request], Response]
    """Runs in a thread; raises Problem (400) or HTTPException for what it refuses."""
    name: str | None = None
    fits: Callable[[Store, Snapshot], bool] = lambda store, snapshot: True


def render(
    viewer: Viewer, request: Request, template: str, snapshot: Snapshot | None = None, status: int = 200, **values: Any
) -> HTMLResponse:
    """`template` with `values`, and what base.html shows around it; `snapshot` for pages of an artifact."""
    here = request.scope["path"]
    site = [
        (page.name, page.path, page.path == here) for page in viewer.pages if page.name and not page.path.startswith(ARTIFACT)
    ]
    tabs: list[tuple[str, str, bool]] = []
    if snapshot is not None:
        for page in viewer.pages:
            if page.name and page.path.startswith(ARTIFACT) and page.fits(viewer.store, snapshot):
                path = address(snapshot.reference) + page.path.removeprefix(ARTIFACT)
                tabs.append((page.name, path, path == here))
        values["recipe"] = recipe_of(viewer.store, snapshot.folder)
        values["sources"] = [(name, text, _source(viewer.store, text)) for name, text in values["recipe"]["inputs"].items()]
    html = viewer.templates.get_template(template).render(
        site=site,
        tabs=tabs,
        snapshot=snapshot,
        store=viewer.store.url,
        prefect=viewer.prefect,
        state_of=partial(state_of, viewer.store),
        **values,
    )
    return HTMLResponse(html, status)


def address(reference: str, rest: str = "") -> str:
    """`stage/key@snapshot` as the path of its page."""
    return "/" + quote(reference, safe="/@") + rest


def chosen(viewer: Viewer, request: Request) -> Snapshot:
    """The snapshot that the path names. Raises HTTPException 404, saying what there is, where it names none."""
    stage, key, snapshot = (request.path_params[name] for name in ("stage", "key", "snapshot"))
    wrong = f"no artifact {stage}/{key}@{snapshot} in the store {viewer.store.url}"
    if not _STAGE.fullmatch(stage):
        raise HTTPException(404, f"{wrong}: a stage is lower-case letters, digits and _")
    if not (_HEX.fullmatch(key) and _HEX.fullmatch(snapshot)):
        raise HTTPException(404, f"{wrong}: keys and snapshots have 12 hexadecimal digits")
    try:
        return loaded(viewer.store, stage, key, snapshot)
    except FileNotFoundError:
        raise HTTPException(404, f"{wrong}; the catalogue lists what there is") from None
    except (ValueError, KeyError, TypeError) as error:
        raise Problem(f"{wrong} that can be read: {error}. `winnow verify` names damaged snapshots") from None


def run_of(viewer: Viewer, identity: str) -> RunRecord:
    """Raises HTTPException 404 where the store has no such run."""
    try:
        if f"{identity}.json" not in viewer.store.sizes("runs"):
            raise FileNotFoundError(identity)
        return load(viewer.store, f"{identity}.json")
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        raise HTTPException(404, f"no run {identity!r} in the store {viewer.store.url}; /runs lists them") from None


@lru_cache(maxsize=256)
def loaded(store: Store, stage: str, key: str, snapshot: str) -> Snapshot:
    """A snapshot never changes, so each is read once."""
    return snapshots_of.load(store, stage, key, snapshot)


def recipe_of(store: Store, folder: str) -> Mapping[str, Any]:
    """What was done to make `stage/key`; without it (a file deleted by hand) an empty recipe."""
    try:
        return _recipe(store, folder)
    except (FileNotFoundError, ValueError):
        return {"version": None, "config": {}, "inputs": {}}


@lru_cache(maxsize=8192)
def _recipe(store: Store, folder: str) -> Mapping[str, Any]:
    stage, _, key = folder.partition("/")
    return artifact.recipe(store, stage, key)


def _source(store: Store, text: str) -> str | None:
    """The address of a recipe's input; None for a file, and for a family (a whole stage's recipe without snapshots), which has no folder."""
    folder = text.partition("@")[0]
    return (
        address(text)
        if re.fullmatch(r"[a-z0-9_]+/[0-9a-f]{12}", folder) and store.fs.exists(store.full(f"{folder}/recipe.json"))
        else None
    )


def number(request: Request, name: str, default: int, low: int, high: int) -> int:
    """A whole number from the query string. Raises Problem outside low..high."""
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not re.fullmatch(r"\d{1,12}", text, re.ASCII) or not low <= int(text) <= high:
        raise Problem(f"{name}={text[:40]!r}: expected a whole number from {low:,} to {high:,}")
    return int(text)


def only(request: Request, *names: str) -> None:
    """Raises Problem for a parameter that the page does not know: a typing error must not look like an answer."""
    for name in request.query_params:
        if name not in (*names, "token"):
            raise Problem(f"unknown parameter {name[:40]!r}; this page knows: {', '.join(names) or 'none'}")
