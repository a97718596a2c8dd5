"""Conditions on rows: a filter is (column, operator, value); a search looks for a text, whatever its case, in every text column.

Lists and structs with texts in them, such as conversations, are text columns too: they contain what one of their texts contains.
Comparisons are those of SQL: null equals nothing and differs from nothing. Regular expressions are RE2's, whose time grows with the
text alone, so that no pattern can hold the viewer up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from storage.problem import Problem

OPERATORS: dict[str, str] = {
    "eq": "=",
    "ne": "≠",
    "lt": "<",
    "le": "≤",
    "gt": ">",
    "ge": "≥",
    "contains": "contains",
    "lacks": "does not contain",
    "starts": "starts with",
    "matches": "matches (regex)",
    "null": "is null",
    "filled": "is not null",
}
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "eq": pc.equal,
    "ne": pc.not_equal,
    "lt": pc.less,
    "le": pc.less_equal,
    "gt": pc.greater,
    "ge": pc.greater_equal,
}
_TEXT = ("contains", "lacks", "starts", "matches")


@dataclass(frozen=True)
class Filter:
    column: str
    operator: str
    value: str = ""

    @property
    def sign(self) -> str:
        return OPERATORS[self.operator]

    @property
    def takes_value(self) -> bool:
        return self.operator not in ("null", "filled")


def text_columns(schema: pa.Schema) -> list[str]:
    return [field.name for field in schema if holds_text(field.type)]


def is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def holds_text(kind: pa.DataType) -> bool:
    """Whether it is text, or there is text somewhere inside of it."""
    if pa.types.is_struct(kind):
        return any(holds_text(field.type) for field in kind)
    return holds_text(kind.value_type) if _is_list(kind) else is_text(kind)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def check(filters: Sequence[Filter], search: str, schema: pa.Schema) -> None:
    """Raises Problem, naming what is wrong, before any row is read."""
    for one in filters:
        if one.operator not in OPERATORS:
            raise Problem(f"unknown operator {one.operator!r}; expected one of: {', '.join(OPERATORS)}")
        kind = column_type(schema, one.column)
        if one.operator in _TEXT and not holds_text(kind):
            others = "is null" if pa.types.is_nested(kind) else "=, <, > or is null"
            raise Problem(f"{one.sign!r} asks for text, but {one.column!r} is {kind}; use {others} there")
        try:
            _hold(pa.array([""]) if one.operator in _TEXT else pa.array([None], kind), one)
        except pa.ArrowInvalid as error:
            raise Problem(f"{one.value!r} is no regular expression of RE2: {error}. Use `contains` for plain text") from None
        except pa.ArrowNotImplementedError:
            raise _incomparable(one, kind) from None
    if search and not text_columns(schema):
        raise Problem("there is no text column to search in; use a filter instead")


def column_type(schema: pa.Schema, name: str) -> pa.DataType:
    if name not in schema.names:
        raise Problem(f"no column {name!r}; there are: {', '.join(schema.names)}")
    return schema.field(name).type


def needed(filters: Sequence[Filter], search: str, schema: pa.Schema) -> list[str]:
    """The columns that must be read to decide."""
    return list(dict.fromkeys([*(one.column for one in filters), *(text_columns(schema) if search else [])]))


def mask(batch: pa.RecordBatch, filters: Sequence[Filter], search: str) -> pa.BooleanArray:
    """Which rows fulfil all filters and hold the search text somewhere; never null."""
    found: Any = None
    for one in filters:
        found = _and(found, pc.fill_null(_hold(batch.column(one.column), one), False))
    if search:
        anywhere: Any = None
        for name in text_columns(batch.schema):
            here = pc.fill_null(_inside(batch.column(name), lambda texts: _contains(texts, search)), False)
            anywhere = here if anywhere is None else pc.or_(anywhere, here)
        found = _and(found, anywhere)
    return found if found is not None else pa.array([True] * batch.num_rows)


def _and(left: Any, right: Any) -> Any:
    return right if left is None else pc.and_(left, right)


def _hold(column: pa.Array, one: Filter) -> Any:
    if one.operator == "null":
        return pc.is_null(column)
    if one.operator == "filled":
        return pc.is_valid(column)
    if one.operator == "contains":
        return _inside(column, lambda texts: pc.match_substring(texts, one.value))
    if one.operator == "lacks":
        return pc.invert(_inside(column, lambda texts: pc.match_substring(texts, one.value)))
    if one.operator == "starts":
        return _inside(column, lambda texts: pc.starts_with(texts, one.value))
    if one.operator == "matches":
        return _inside(column, lambda texts: pc.match_substring_regex(texts, one.value))
    return _COMPARE[one.operator](column, _scalar(one, column.type))


def _inside(column: pa.Array, look: Callable[[pa.Array], Any]) -> Any:
    """What `look` says of a column of texts; of another, whether it says so of any text inside. Null where the column is."""
    if is_text(column.type):
        return look(column)
    found = np.zeros(len(column), bool)
    if _is_list(column.type):
        inner = pc.fill_null(_inside(column.flatten(), look), False)
        found[pc.list_parent_indices(column).filter(inner)] = True
    else:
        for field in column.flatten():
            if holds_text(field.type):
                found |= pc.fill_null(_inside(field, look), False).to_numpy(zero_copy_only=False)
    return pa.array(found, mask=column.is_null().to_numpy(zero_copy_only=False))


def _contains(column: pa.Array, search: str) -> Any:
    """Whatever its case; of letters beyond ASCII, only where `search` has one itself."""
    if search.isascii():
        # A third of the time of pyarrow's RE2, which in turn is faster than its plain search. It compares bytes: they need not be UTF-8.
        series = pl.Series(column)
        return series.str.contains_any([search], ascii_case_insensitive=True).to_arrow()
    return pc.match_substring(column, search, ignore_case=True)


def _scalar(one: Filter, kind: pa.DataType) -> pa.Scalar:
    text = one.value.strip()
    try:
        if is_text(kind):
            return pa.scalar(one.value, type=kind)
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            text = text.replace(",", "")
            try:
                return pa.scalar(int(text), type=kind)
            except (ValueError, OverflowError, pa.ArrowInvalid):
                return pa.scalar(float(text))
        if pa.types.is_boolean(kind):
            return pa.scalar({"true": True, "false": False, "1": True, "0": False}[text.lower()])
        if pa.types.is_temporal(kind):
            return pc.cast(pa.scalar(text), kind)
    except (ValueError, KeyError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise Problem(f"{one.column} {one.sign} {one.value!r}: expected a value of the column's type, {kind}") from None
    raise _incomparable(one, kind)


def _incomparable(one: Filter, kind: pa.DataType) -> Problem:
    others = "ask what it contains, or whether it is null" if holds_text(kind) else "ask whether it is null"
    return Problem(f"{one.column!r} is {kind}, which cannot be compared; {others}")
