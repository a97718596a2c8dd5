"""One row with all its values whole: `/{stage}/{key}@{snapshot}/row?number=17`."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from storage.problem import Problem
from storage.viewer import rows, tables
from storage.viewer.answers import as_json
from storage.viewer.page import ARTIFACT, Page, Viewer, chosen, number, only, render


def view(viewer: Viewer, request: Request) -> Response:
    only(request, "number", "table", "format", "search")
    snapshot = chosen(viewer, request)
    table = tables.table(snapshot, request.query_params.get("table", ""))
    if not table.rows:
        raise Problem(f"{snapshot.reference} has no rows")
    at = number(request, "number", 0, 0, table.rows - 1)
    values = rows.row(viewer.store, snapshot, table.name, at)
    form = request.query_params.get("format", "")
    if form == "json":
        return JSONResponse(as_json({"artifact": snapshot.reference, "table": table.name, "number": at, "row": values}))
    if form:
        raise Problem(f"format={form!r}: a row comes as json, or as a page without `format`")
    types = {field.name: str(field.type) for field in tables.schema(viewer.store, table)}
    search = request.query_params.get("search", "")
    return render(
        viewer,
        request,
        "row.html",
        snapshot,
        table=table,
        number=at,
        values=values,
        types=types,
        last=table.rows - 1,
        search=search,
    )


PAGE = Page(f"{ARTIFACT}/row", view)
