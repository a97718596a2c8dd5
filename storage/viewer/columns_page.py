"""What each column holds: `/{stage}/{key}@{snapshot}/columns`."""

from starlette.requests import Request
from starlette.responses import Response

from storage.viewer import tables
from storage.viewer.columns import describe
from storage.viewer.dataset import link
from storage.viewer.filters import Filter
from storage.viewer.page import ARTIFACT, Page, Viewer, chosen, only, render
from storage.viewer.rows import Query


def view(viewer: Viewer, request: Request) -> Response:
    only(request, "table")
    snapshot = chosen(viewer, request)
    table = tables.table(snapshot, request.query_params.get("table", ""))

    def rows_with(column: str, operator: str, value: str = "") -> str:
        return link(Query(snapshot, table.name, (Filter(column, operator, value),)))

    return render(
        viewer,
        request,
        "columns.html",
        snapshot,
        table=table,
        tables=tables.tables(snapshot),
        description=describe(viewer.store, snapshot, table.name),
        rows_with=rows_with,
    )


PAGE = Page(f"{ARTIFACT}/columns", view, "Columns", tables.have_rows)
