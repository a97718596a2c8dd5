"""A question in SQL to one artifact: `/{stage}/{key}@{snapshot}/sql?q=SELECT ...`, as a page, JSON or CSV."""

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import pyarrow as pa
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from storage.problem import Problem
from storage.snapshot import Snapshot
from storage.viewer import sql, tables
from storage.viewer.answers import csv_page, json_page
from storage.viewer.page import ARTIFACT, Page, Viewer, address, chosen, only, render

CELL = 300


def view(viewer: Viewer, request: Request) -> Response:
    only(request, "q", "format")
    snapshot = chosen(viewer, request)
    if not snapshot.shards:
        return RedirectResponse(address(snapshot.reference, "/files"), 302)
    query = request.query_params.get("q", "").strip()
    form = request.query_params.get("format", "")
    if form not in ("", "json", "csv") or (form and not query):
        raise Problem(f"format={form!r}: expected json or csv with a query in q, or none for a page")
    begun = time.monotonic()
    answer, wrong = None, None
    try:
        answer = sql.run(viewer.store, snapshot, query) if query else None
    except Problem as problem:
        if form:
            raise
        wrong = str(problem)
    if answer and form == "json":
        document = {"artifact": snapshot.reference, "query": query, "more": answer.more}
        columns = [{"name": name, "type": kind} for name, kind in answer.columns]
        return json_page(document | {"columns": columns, "rows": answer.rows})
    if answer and form == "csv":
        return csv_page(*_named(answer), f"{snapshot.stage}-{snapshot.id}-query")
    schemas = {name: tables.schema(viewer.store, table) for name, table in sql.views(snapshot).items()}
    return render(
        viewer,
        request,
        "sql.html",
        snapshot,
        status=400 if wrong else 200,
        query=query,
        answer=answer,
        wrong=wrong,
        seconds=time.monotonic() - begun,
        schemas={name: {field.name: str(field.type) for field in schema} for name, schema in schemas.items()},
        examples=[(label, _link(snapshot, text)) for label, text in examples(schemas["data"])],
        link=lambda kind: _link(snapshot, query, kind),
        limit=sql.SECONDS,
        cell=CELL,
    )


def examples(schema: pa.Schema) -> list[tuple[str, str]]:
    """(what it asks, SQL) that fit the columns."""
    found = [("how many rows", "SELECT count(*) AS rows FROM data")]
    if "reason" in schema.names:
        found.append(
            (
                "rows by reason",
                "SELECT coalesce(reason, 'kept') AS fate, count(*) AS rows\nFROM data\nGROUP BY fate\nORDER BY rows DESC",
            )
        )
    if "url" in schema.names:
        host = "regexp_extract(url, '://([^/]+)', 1)"
        found.append(
            ("largest hosts", f"SELECT {host} AS host, count(*) AS rows\nFROM data\nGROUP BY host\nORDER BY rows DESC\nLIMIT 50")
        )
    if {"url", "text"} <= set(schema.names):
        found.append(
            ("longest texts", "SELECT length(text) AS characters, url\nFROM data\nORDER BY characters DESC\nLIMIT 50"),
        )
    return [*found, ("a sample", "SELECT *\nFROM data\nUSING SAMPLE 20 ROWS"), ("every column", "SUMMARIZE data")]


def _link(snapshot: Snapshot, query: str, form: str = "") -> str:
    pairs = {"q": query} | ({"format": form} if form else {})
    return address(snapshot.reference, "/sql?") + urlencode(pairs, errors="replace")


def _named(answer: sql.Answer) -> tuple[list[str], list[Mapping[str, Any]]]:
    """Columns and rows by name; a name that comes twice gets its place behind it."""
    names: list[str] = []
    for place, (name, _) in enumerate(answer.columns, 1):
        names.append(name if name not in names else f"{name}_{place}")
    return names, [dict(zip(names, row, strict=True)) for row in answer.rows]


PAGE = Page(f"{ARTIFACT}/sql", view, "SQL", tables.have_rows)
