"""How text splits into tokens: `/{stage}/{key}@{snapshot}/tokens`: packed rows in alternating tints, with ids, documents and loss mask.

| column | type | meaning |
|---|---|---|
| tokens | list of integers | a packed row; a dataset with it has this page |
| document_starts | list of integers, optional | where documents begin in the row: offsets into `tokens` |
| mask | list of booleans or integers, optional | as long as `tokens`; false or 0: the token does not count in the loss |

| parameter | means |
|---|---|
| `page` | rows, ROWS on a page, the first HEAD tokens of each |
| `row`, `from` | instead: one row, MOST tokens from this one on |

The pieces come from a vocabulary (`vocabulary.py`); without one, ids are shown and the page says why.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from storage.problem import Problem
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer import tables, vocabulary
from storage.viewer.page import ARTIFACT, Page, Viewer, chosen, number, only, render
from storage.viewer.tables import Table
from storage.viewer.vocabulary import Vocabulary

ROWS, HEAD = 5, 512
MOST = 4_096
LISTS = {
    "tokens": (pa.types.is_integer,),
    "document_starts": (pa.types.is_integer,),
    "mask": (pa.types.is_integer, pa.types.is_boolean),
}
EXPECTED = "a column tokens: a list of integers"


@dataclass(frozen=True)
class Token:
    id: int | None
    place: int
    text: Markup
    kind: str
    masked: bool
    document: int | None
    """Number of the document that begins here, from 1."""

    @property
    def said(self) -> str:
        """In words, for the title."""
        known = [] if self.kind == "normal" else [self.kind]
        return ", ".join([f"{self.id} at {self.place}", *known, *(["not in the loss"] if self.masked else [])])


@dataclass(frozen=True)
class Row:
    number: int
    tokens: tuple[Token, ...]
    length: int
    documents: int | None
    masked: int | None
    wrong: tuple[str, ...]
    """What is not as it should be."""


def view(viewer: Viewer, request: Request) -> Response:
    only(request, "table", "page", "row", "from")
    snapshot = chosen(viewer, request)
    table = tables.fitting(viewer.store, snapshot, request.query_params.get("table", ""), _fits, EXPECTED)
    words, why = vocabulary.of(viewer.store, snapshot)
    schema = tables.schema(viewer.store, table)
    columns = _columns(schema)
    pages = max(1, -(-table.rows // ROWS))
    page = number(request, "page", 1, 1, 10**12)
    if page > pages:
        raise Problem(f"no page {page:,}; there are pages 1 to {pages:,}")
    numbers = list(range((page - 1) * ROWS, min(page * ROWS, table.rows)))
    begin, most = 0, HEAD
    if one := "row" in request.query_params:
        if not table.rows:
            raise Problem(f"{snapshot.reference} has no rows")
        numbers = [number(request, "row", 0, 0, table.rows - 1)]
        begin, most = number(request, "from", 0, 0, 2**31), MOST
        page = numbers[0] // ROWS + 1
    found = tables.take(viewer.store, table, numbers, columns)
    return render(
        viewer,
        request,
        "tokens.html",
        snapshot,
        table=table,
        tables=tables.having(viewer.store, snapshot, _fits),
        rows=[row(at, values, words, begin, most) for at, values in zip(numbers, found, strict=True)],
        vocabulary=words,
        why=why,
        ignored=[(field.name, str(field.type)) for field in schema if field.name in LISTS and field.name not in columns],
        page=page,
        pages=pages,
        one=one,
        begin=begin,
        most=most,
    )


def row(at: int, values: Mapping[str, Any], words: Vocabulary | None, begin: int, most: int) -> Row:
    ids: list[int | None] | None = values["tokens"]
    if ids is None:
        return Row(at, (), 0, None, None, ("tokens is null",))
    wrong: list[str] = []
    mask: list[Any] | None = values.get("mask")
    if mask is not None and len(mask) != len(ids):
        wrong.append(f"mask has {len(mask):,} values for {len(ids):,} tokens, and is not shown")
        mask = None
    given: list[int | None] | None = values.get("document_starts")
    starts = sorted({start for start in given or () if start is not None and 0 <= start < len(ids)})
    if given is not None and len(starts) != len(given):
        wrong.append(f"{len(given) - len(starts):,} of {len(given):,} document starts are repeated, null or outside of the row")
    documents = {start: place for place, start in enumerate(starts, 1)}
    tokens = tuple(
        _token(token, begin + place, words, mask is not None and not mask[begin + place], documents.get(begin + place))
        for place, token in enumerate(ids[begin : begin + most])
    )
    masked = None if mask is None else sum(not value for value in mask)
    return Row(at, tokens, len(ids), None if given is None else len(starts), masked, tuple(wrong))


def _token(token: int | None, place: int, words: Vocabulary | None, masked: bool, document: int | None) -> Token:
    if token is None:
        return Token(None, place, Markup("null"), "unknown", masked, document)
    piece, kind = words.piece(token) if words else (None, "normal")
    text = Markup("{}").format(token) if piece is None else vocabulary.shown(piece)
    return Token(token, place, text, kind if kind in ("normal", "control", "byte", "unused") else "unknown", masked, document)


def _columns(schema: pa.Schema) -> list[str]:
    """`tokens`, and of the others those that are what they should be."""
    return [
        name
        for name, kinds in LISTS.items()
        if name in schema.names and any(_is_list(schema.field(name).type, kind) for kind in kinds)
    ]


def _is_list(kind: pa.DataType, inner: Any) -> bool:
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(listed and inner(kind.value_type))


def _fits(store: Store, table: Table) -> bool:
    return "tokens" in _columns(tables.schema(store, table))


def _offered(store: Store, snapshot: Snapshot) -> bool:
    return bool(tables.having(store, snapshot, _fits))


PAGE = Page(f"{ARTIFACT}/tokens", view, "Tokens", _offered)
