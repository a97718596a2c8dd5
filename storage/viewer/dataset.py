"""The rows of an artifact: `/{stage}/{key}@{snapshot}`: paged, sorted, filtered, searched, as a page, JSON or CSV.

| parameter | means |
|---|---|
| `table` | which table of a whole stage; none: the shards |
| `column`, `operator`, `value` | a filter; the three together, as often as wanted |
| `search` | a text anywhere in the text columns, whatever its case |
| `sort`, `order=desc` | by that column |
| `page`, `size` | which page, of how many rows |
| `from` | for filters and search: row numbers where this page and those before it begin, `0.1840.3312` |
| `seconds` | how long a scan may take, 1 to 60; without it 0.7, and 4 for an order |
| `format` | `json` or `csv` of the rows at hand |
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlencode

import pyarrow as pa
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from storage.problem import Problem
from storage.snapshot import Snapshot
from storage.viewer import rows, tables
from storage.viewer.answers import csv_page, json_page
from storage.viewer.columns import describe
from storage.viewer.filters import OPERATORS, Filter
from storage.viewer.page import ARTIFACT, Page, Viewer, address, chosen, number, only, render
from storage.viewer.rows import Query, Result

SCAN_SECONDS = 0.7
SORT_SECONDS = 4
TRAIL = 40  # pages of a scan that can be gone back through
LEAD = ("url", "text")  # shown first, where there are such columns; the rest follows in the order of the schema
CELL = 160  # characters of a value in the list


def view(viewer: Viewer, request: Request) -> Response:
    only(request, "table", "column", "operator", "value", "search", "sort", "order", "page", "size", "from", "seconds", "format")
    snapshot = chosen(viewer, request)
    if not snapshot.shards:
        return RedirectResponse(address(snapshot.reference, "/files"), 302)
    query, trail = asked(request, snapshot)
    table = tables.table(snapshot, query.table)
    result = rows.read(viewer.store, query)
    schema = tables.schema(viewer.store, table)
    form = request.query_params.get("format", "")
    if form == "json":
        return json_page(
            {
                "artifact": snapshot.reference,
                "table": table.name,
                "columns": {field.name: str(field.type) for field in schema},
                "total": result.total,
                "matching": result.matching,
                "counted": result.counted,
                "scanned": result.scanned,
                "next_from": result.next_start,
                "numbers": result.numbers,
                "rows": result.rows,
            }
        )
    if form == "csv":
        return csv_page(schema.names, result.rows, f"{snapshot.stage}-{snapshot.id}")
    if form:
        raise Problem(f"format={form!r}: expected json or csv, or none for a page")
    return render(
        viewer,
        request,
        "dataset.html",
        snapshot,
        query=query,
        trail=trail,
        table=table,
        tables=tables.tables(snapshot),
        result=result,
        types={field.name: str(field.type) for field in schema},
        shown=[name for name in LEAD if name in schema.names] + [name for name in schema.names if name not in LEAD],
        ordered={field.name for field in schema if not pa.types.is_nested(field.type)},
        described={column.name: column for column in describe(viewer.store, snapshot, table.name).columns},
        operators=OPERATORS,
        chips=chips(query, table.name, snapshot, schema.names),
        links=links(query, result, trail),
        link=lambda **changes: link(replace(query, page=1, start=0, **changes)),
        cell=CELL,
        Filter=Filter,
    )


def asked(request: Request, snapshot: Snapshot) -> tuple[Query, list[int]]:
    """The query that the address asks for, and the row numbers at which the pages of a scan up to this one began."""
    given = request.query_params
    columns, operators, values = (given.getlist(name) for name in ("column", "operator", "value"))
    if not len(columns) == len(operators) == len(values):
        raise Problem("a filter is column, operator and value together; give as many of each (value may be empty)")
    filters = tuple(Filter(*one) for one in zip(columns, operators, values, strict=True) if one[0])
    if len(filters) > 20:
        raise Problem(f"{len(filters)} filters; 20 are the most")
    order = given.get("order", "")
    if order not in ("", "asc", "desc"):
        raise Problem(f"order={order[:40]!r}: expected asc or desc")
    text = given.get("from", "") or "0"
    if not re.fullmatch(r"\d{1,12}(\.\d{1,12}){0,60}", text, re.ASCII):
        raise Problem(f"from={text[:40]!r}: expected row numbers with points between them, such as 0.1840")
    trail = [int(part) for part in text.split(".")]
    query = Query(
        snapshot,
        given.get("table", ""),
        filters,
        given.get("search", "")[:1000],
        given.get("sort", ""),
        order == "desc",
        number(request, "page", 1, 1, 10**12),
        trail[-1],
        number(request, "size", 50, 1, 500),
        number(request, "seconds", 0, 1, 60) or (SORT_SECONDS if given.get("sort") else SCAN_SECONDS),
    )
    return query, trail


def link(query: Query, trail: Sequence[int] = (), form: str = "") -> str:
    """The address of a query; what is left at its default is left out."""
    pairs: list[tuple[str, str]] = [("table", query.table)] if query.table else []
    for one in query.filters:
        pairs += [("column", one.column), ("operator", one.operator), ("value", one.value)]
    pairs += [("search", query.search)] if query.search else []
    pairs += [("sort", query.sort)] if query.sort else []
    pairs += [("order", "desc")] if query.sort and query.descending else []
    pairs += [("page", str(query.page))] if query.page > 1 else []
    pairs += [("size", str(query.size))] if query.size != 50 else []
    pairs += [("seconds", f"{query.seconds:.0f}")] if query.seconds not in (SCAN_SECONDS, SORT_SECONDS) else []
    pairs += [("from", ".".join(map(str, trail)))] if trail and trail[-1] else []
    pairs += [("format", form)] if form else []
    encoded = urlencode(pairs, errors="replace")
    return address(query.snapshot.reference) + (f"?{encoded}" if encoded else "")


def links(query: Query, result: Result, trail: list[int]) -> dict[str, str]:
    """first, prev, next, last, longer, json, csv: those that lead somewhere."""
    found: dict[str, str] = {}
    if result.pages is None:
        begin = replace(query, page=1)
        if len(trail) > 1:
            found |= {"first": link(begin), "prev": link(begin, trail[:-1])}
        if result.next_start is not None:
            found["next"] = link(begin, [*trail, result.next_start][-TRAIL:])
        here = trail
    else:
        if query.page > 1:
            found |= {"first": link(replace(query, page=1)), "prev": link(replace(query, page=query.page - 1))}
        if query.page < result.pages:
            found |= {"next": link(replace(query, page=query.page + 1)), "last": link(replace(query, page=result.pages))}
        here = []
    if not result.full and query.seconds < 60:
        found["longer"] = link(replace(query, seconds=10 if query.seconds < 10 else 60), here)
    return found | {form: link(query, here, form) for form in ("json", "csv")}


def chips(query: Query, table: str, snapshot: Snapshot, columns: Sequence[str]) -> list[tuple[str, int, str, bool]]:
    """(label, rows, address, chosen) for all rows, those kept and each reason, with counts from the snapshot; [] for what drops nothing."""
    if table or "reason" not in columns:
        return []
    others = tuple(one for one in query.filters if one.column != "reason")
    now = [one for one in query.filters if one.column == "reason"]

    def chip(label: str, count: int, *wanted: Filter) -> tuple[str, int, str, bool]:
        return label, count, link(replace(query, filters=(*others, *wanted), page=1, start=0)), now == list(wanted)

    return [
        chip("all", snapshot.rows),
        chip("kept", snapshot.kept, Filter("reason", "null")),
        *(chip(reason, count, Filter("reason", "eq", reason)) for reason, count in snapshot.reasons.items()),
    ]


PAGE = Page(ARTIFACT, view, "Rows", tables.have_rows)
