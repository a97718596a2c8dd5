"""A page as it was crawled, as source: `/original?run=RUN&id=ID`: numbered lines of text, never HTML that a browser builds.

| parameter | means |
|---|---|
| `run` | the run whose page it is |
| `id` | the page |
| `shard` | the shard that its history began with, where that is known |

Which file is read, and where, is said by a row of the run; nothing in the address names a file.
"""

import re

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from storage import history
from storage.problem import Problem
from storage.viewer.document_page import exactly, link, placed, source
from storage.viewer.page import Page, Viewer, only, render, run_of
from storage.viewer.visible import visible

MOST = 3_000_000  # characters of HTML: a control character takes sixty times its place
PIECE = 10_000  # characters of a line that are made visible at a time
EACH = 20  # characters of HTML around a line

_LINE_END = re.compile(r"\r\n|[\r\n]")  # as the HTML standard has it


def view(viewer: Viewer, request: Request) -> Response:
    only(request, "run", "id", "shard")
    if viewer.original is None:
        raise HTTPException(404, "this viewer cannot read the crawl; `winnow up` starts one that can")
    run, identity, shard = (request.query_params.get(name, "") for name in ("run", "id", "shard"))
    record = run_of(viewer, run)
    page = exactly(viewer, record, identity, shard)
    way = history.steps(viewer.store, record, page)
    row = placed(way)
    if row is None:
        raise Problem(f"no stage of run {record.id} recorded where the original of {page.id} lies; corpus runs do")
    original = viewer.original(viewer.store, row)
    lines, shown = numbered(original.text)
    return render(
        viewer,
        request,
        "original.html",
        page=page,
        way=link(record.id, page),
        row=row,
        source=source(way),
        original=original,
        lines=lines,
        shown=shown,
    )


def numbered(text: str) -> tuple[list[Markup], int]:
    """The lines as HTML, and how many characters of `text` they are: all, unless that were too much for a browser."""
    lines: list[Markup] = []
    begin = size = 0
    while begin < len(text) or not lines:
        found = _LINE_END.search(text, begin)
        end, behind = found.span() if found else (len(text), len(text))
        parts: list[Markup] = []
        at = begin
        while at < end and size < MOST:
            parts.append(visible(text[at : min(end, at + PIECE)]))
            size += len(parts[-1])
            at = min(end, at + PIECE)
        lines.append(Markup("").join(parts))
        size += EACH
        if size >= MOST:
            return lines, behind if at == end else at
        begin = behind
    return lines, len(text)


PAGE = Page("/original", view)
