"""A flow's parameters from the command line: `--config FILE.json`, then `--set a.b=value`, then options, checked in one go."""

import difflib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from storage.problem import Problem

Model = TypeVar("Model", bound=BaseModel)

EXAMPLE = (
    """--set 'sources=["crawl/*.warc.gz"]' (files, folders, patterns, s3:// or https:// addresses, or a Common Crawl dump id)"""
)


def parameters(model: type[Model], config: Path | None, sets: Iterable[str], options: Mapping[str, Any]) -> Model:
    """Raises Problem naming every wrong field: what was given, what is expected, which name may have been meant."""
    values = _file(config) if config else {}
    for text in sets:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise Problem(f"--set {text!r}: expected name=value, for example --set c4.min_sentences=3 or {EXAMPLE}")
        _put(values, name.strip().split("."), _value(value), text)
    values |= {name: value for name, value in options.items() if value is not None}
    try:
        return model.model_validate(values)
    except ValidationError as error:
        # What is wrong inside of a value makes the value as a whole wrong as well: only the first is of use.
        wrong = error.errors()
        inner = {one["loc"][:end] for one in wrong for end in range(len(one["loc"]))}
        raise Problem("\n".join(_sentence(model, one) for one in wrong if one["loc"] not in inner)) from None


def _file(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Problem(f"--config {path}: {error.strerror}; expected a JSON file with the flow's parameters") from None
    except ValueError as error:
        raise Problem(f"--config {path} is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise Problem(
            f'--config {path}: expected a JSON object such as {{"sources": ["crawl/*.warc.gz"]}}, found {type(values).__name__}'
        )
    return values


def _value(text: str) -> Any:
    """JSON where it is JSON, else the text itself, so that quotes are not needed around words."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _put(values: dict[str, Any], path: list[str], value: Any, text: str) -> None:
    for name in path[:-1]:
        values = values.setdefault(name, {})
        if not isinstance(values, dict):
            raise Problem(f"--set {text!r}: {name} has a value already and can have no fields")
    values[path[-1]] = value


def _sentence(model: type[BaseModel], error: ErrorDetails) -> str:
    path = [str(step) for step in error["loc"]]
    where = ".".join(path)
    if where == "sources" and error["type"] in ("missing", "too_short"):
        return f"no crawl was named; say what to read: {EXAMPLE}"
    if error["type"] == "missing":
        return f"the parameter {where} is missing; give it with --set {where}=..."
    if error["type"] == "list_type":
        return f"the parameter {where} is {error['input']!r:.80}: a list is expected, such as --set '{where}={json.dumps([error['input']], ensure_ascii=False)}'"
    if error["type"] == "extra_forbidden":
        known = _fields(model, path[:-1])
        close = difflib.get_close_matches(path[-1], known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known there: {', '.join(known)}"
        return f"unknown parameter {where}; {hint}"
    what = error["msg"].removeprefix("Value error, ")
    if not where:
        return what
    found = "" if isinstance(error["input"], dict | BaseModel) else f" is {error['input']!r:.80}"
    return f"the parameter {where}{found}: {what[0].lower()}{what[1:]}"


def _fields(model: type[BaseModel], path: list[str]) -> list[str]:
    for name in path:
        field = model.model_fields.get(name)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return []
        model = field.annotation
    return list(model.model_fields)
