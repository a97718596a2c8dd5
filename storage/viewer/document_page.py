"""One page's way through a run: `/document?run=RUN&id=ID` (or `url=URL`): what each stage measured, decided and made of its text.

| parameter | means |
|---|---|
| `run` | whose way; without it the newest corpus run |
| `id`, `url` | the page |
| `page` | what a person types: an id, a URL, or a part of one; several pages are listed |
| `shard` | the shard that its history began with, where that is known: then the crawl need not be searched |
| `of`, `row` | instead of all these, the row of an artifact: leads to the address of its page in the newest run that holds the artifact |
| `format` | `json`: as `winnow why --json` prints it |
"""

import re
import time
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from storage import history
from storage.artifact import resolve
from storage.history import Found, Step
from storage.problem import Problem
from storage.runs import RunRecord, records
from storage.viewer import rows, tables
from storage.viewer.answers import json_page
from storage.viewer.difference import LONGEST, Piece, difference
from storage.viewer.page import Page, Viewer, number, only, render, run_of

SECONDS = 10  # for a page whose shard is not known
SHOWN = 20_000  # characters of a first text; its row has it whole
_REFERENCE = re.compile(r"[a-z][a-z0-9_]*/[0-9a-f]{12}@[0-9a-f]{12}")


@dataclass(frozen=True)
class Stop:
    """A step, and what it made of the text."""

    step: Step
    text: str | None
    """The first text of the page; later ones are told by their difference."""
    pieces: list[Piece]
    before: int | None
    """Characters of the text that came in; None where the text was not compared."""

    @property
    def signals(self) -> dict[str, Any]:
        """Those that a person can read: of bytes, how many."""
        found = {name: value for name, value in self.step.signals.items() if value is not None}
        return {name: f"{len(value):,} bytes" if isinstance(value, bytes) else value for name, value in found.items()}


@dataclass(frozen=True)
class Source:
    """Where the page lies as it was crawled: the store holds its place, not its HTML."""

    file: str
    offset: int
    length: int | None
    """Bytes, compressed as in the file; None where `column` is given."""
    skip: int
    """Bytes to pass over after decompression."""
    column: str | None
    """Ready text: the column that holds it; `offset` is a row number, or the byte at which a line begins."""


def view(viewer: Viewer, request: Request) -> Response:
    only(request, "run", "id", "url", "page", "shard", "of", "row", "format")
    given = {name: text.strip() for name, text in request.query_params.items()}
    if given.get("of"):
        return RedirectResponse(_of_row(viewer, request, given["of"]), 302)
    asked = given.get("id") or given.get("url") or given.get("page") or ""
    if not asked:
        return render(viewer, request, "document_find.html", asked="", run=given.get("run", ""), found=None, link=link)
    record = run_of(viewer, given["run"]) if given.get("run") else history.newest(viewer.store)
    if "page" in given:
        found = history.search(viewer.store, record, asked, until=time.monotonic() + SECONDS)
        if len(found) == 1:
            return RedirectResponse(link(record.id, found[0]), 302)
        return render(
            viewer,
            request,
            "document_find.html",
            status=200 if found else 404,
            asked=asked,
            run=record.id,
            found=found,
            link=link,
        )
    page = exactly(viewer, record, asked, given.get("shard", ""))
    way = history.steps(viewer.store, record, page)
    form = given.get("format", "")
    if form == "json":
        return json_page({"id": page.id, "url": page.url, "run": record.id, "steps": [step.document() for step in way]})
    if form:
        raise Problem(f"format={form!r}: a page's way comes as json, or as a page without `format`")
    return render(
        viewer,
        request,
        "document.html",
        run=record,
        page=page,
        stops=stops(way),
        last=way[-1],
        source=source(way),
        original=link(record.id, page, "/original") if viewer.original else None,
        unseen=_unseen(viewer, record, page, way[-1]),
        shown=SHOWN,
        longest=LONGEST,
        json=f"{link(record.id, page)}&format=json",
        is_id=lambda value: isinstance(value, str) and value.startswith("<urn:uuid:"),
    )


def exactly(viewer: Viewer, record: RunRecord, asked: str, shard: str) -> Found:
    """The page whose id or URL is `asked`. Raises HTTPException 404 where there is none."""
    found = history.search(viewer.store, record, asked, True, shard, time.monotonic() + SECONDS)
    if not found:
        raise HTTPException(
            404,
            f"no page of run {record.id} has the id or URL {asked!r}; ids look like <urn:uuid:...>; the rows of `records` name them",
        )
    return found[0]


def link(run: str, page: Found, path: str = "/document") -> str:
    return f"{path}?" + urlencode({"run": run, "id": page.id, "shard": page.origin}, errors="replace")


def stops(way: list[Step]) -> list[Stop]:
    made: list[Stop] = []
    before: str | None = None
    for step in way:
        if step.text is None:
            made.append(Stop(step, None, [], None))
        elif before is None:
            made.append(Stop(step, step.text, [], None))
        else:
            made.append(Stop(step, None, [] if before == step.text else difference(before, step.text), len(before)))
        before = before if step.text is None else step.text
    return made


def source(way: list[Step]) -> Source | None:
    """None where no stage knew the place."""
    if (row := placed(way)) is None:
        return None
    length, skip, column = (row.get(name) for name in ("length", "skip", "field"))
    sized = isinstance(length, int) and column is None
    return Source(row["file_path"], row["offset"], length if sized else None, skip if isinstance(skip, int) else 0, column)


def placed(way: list[Step]) -> dict[str, Any] | None:
    """The first row that says where the page lies in the crawl."""
    rows_with_it = (step.row for step in way if isinstance(step.row.get("offset"), int))
    return next((row for row in rows_with_it if isinstance(row.get("file_path"), str)), None)


def _unseen(viewer: Viewer, record: RunRecord, page: Found, last: Step) -> list[str]:
    """The stages that would have seen the page, had it not been dropped."""
    names = list(record.artifacts)
    later = names[names.index(last.stage) + 1 :] if last.kept is False else []
    shards = {name: resolve(viewer.store, record.artifacts[name].reference).shards for name in later}
    return [name for name in later if any(file.origin == page.origin for file in shards[name])]


def _of_row(viewer: Viewer, request: Request, reference: str) -> str:
    if not _REFERENCE.fullmatch(reference):
        raise Problem(f"of={reference[:80]!r}: expected stage/key@snapshot")
    snapshot = resolve(viewer.store, reference)
    table = tables.table(snapshot, "")
    at = number(request, "row", 0, 0, max(0, table.rows - 1))
    origin = table.files[bisect_right(table.starts(), at) - 1].origin if table.rows else None
    if origin is None:
        raise Problem(f"{reference} has no shards of pages, so none of its rows has a way through the stages")
    identity = rows.row(viewer.store, snapshot, "", at).get("id")
    if not isinstance(identity, str):
        raise Problem(f"row {at:,} of {reference} has no id; without one it cannot be followed through the stages")
    for record in records(viewer.store):
        if any(made.reference == reference for made in record.artifacts.values()):
            return link(record.id, Found(identity, None, origin))
    raise Problem(f"no run record holds {reference}; run the flow again, which finds it finished and says so")


PAGE = Page("/document", view, "Follow a page")
