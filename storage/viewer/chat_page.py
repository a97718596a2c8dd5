"""Rows as conversations, a page at a time: `/{stage}/{key}@{snapshot}/chat?page=2`; `chat.py` says which datasets have this page."""

from starlette.requests import Request
from starlette.responses import Response

from storage.problem import Problem
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer import tables
from storage.viewer.chat import EXPECTED, chat, columns, shape
from storage.viewer.page import ARTIFACT, Page, Viewer, chosen, number, only, render
from storage.viewer.tables import Table

SIZE = 10
FIELD = 600  # characters of a field such as tool_calls


def view(viewer: Viewer, request: Request) -> Response:
    only(request, "table", "page")
    snapshot = chosen(viewer, request)
    table = tables.fitting(viewer.store, snapshot, request.query_params.get("table", ""), _fits, EXPECTED)
    schema = tables.schema(viewer.store, table)
    kind = shape(schema)
    assert kind is not None, "the table fits"
    pages = max(1, -(-table.rows // SIZE))
    page = number(request, "page", 1, 1, 10**12)
    if page > pages:
        raise Problem(f"no page {page:,}; there are pages 1 to {pages:,}")
    numbers = list(range((page - 1) * SIZE, min(page * SIZE, table.rows)))
    rows = tables.take(viewer.store, table, numbers, columns(schema))
    return render(
        viewer,
        request,
        "chat.html",
        snapshot,
        table=table,
        tables=tables.having(viewer.store, snapshot, _fits),
        chats=[chat(at, row, kind) for at, row in zip(numbers, rows, strict=True)],
        page=page,
        pages=pages,
        field=FIELD,
    )


def _fits(store: Store, table: Table) -> bool:
    return shape(tables.schema(store, table)) is not None


def _offered(store: Store, snapshot: Snapshot) -> bool:
    return bool(tables.having(store, snapshot, _fits))


PAGE = Page(f"{ARTIFACT}/chat", view, "Chats", _offered)
