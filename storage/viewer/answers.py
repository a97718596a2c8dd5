"""Rows for programs: JSON that keeps every value, CSV that a spreadsheet cannot be tricked with."""

import base64
import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse, Response

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_json(value: Any) -> Any:
    """`value` with what JSON lacks written as text: bytes in base64, times in ISO, NaN and infinities as null."""
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def json_page(document: Mapping[str, Any]) -> Response:
    return JSONResponse(as_json(document))


def csv_page(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], name: str) -> Response:
    """Text that a spreadsheet would take for a formula gets a quote in front; JSON has it unchanged."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([_harmless(column) for column in columns])
    for row in rows:
        writer.writerow([_cell(row[column]) for column in columns])
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(text.getvalue().encode("utf-8", "replace"), media_type="text/csv; charset=utf-8", headers=headers)


def _cell(value: Any) -> Any:
    value = as_json(value)
    return _harmless(value) if isinstance(value, str) else value


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text
