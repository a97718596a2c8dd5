"""The texts of evaluation sets, whatever their columns are called.

In: a file, or a folder of files (in sub-folders too), of these kinds:

| file | a record is |
|---|---|
| .parquet | a row |
| .jsonl, .jsonl.gz | a line |
| .json, .json.gz | an element of the outermost list, or the whole |

Out: every string in every record, also inside lists and structs such as messages, with its file and the record's number, from 1.
Files whose names begin with a dot, README and LICENSE are passed over; any other kind is refused, so that none is left out unseen.
"""

from __future__ import annotations

import gzip
import itertools
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson
import polars as pl
import pyarrow as pa

from stages.stage import Input
from storage.problem import Problem
from storage.shards import read_parquet

LINES = 10_000  # read at a time
KINDS = (".parquet", ".jsonl", ".jsonl.gz", ".json", ".json.gz")
ABOUT = ("readme", "license")

Texts = tuple[str, pl.Series, pl.Series]
"""Name of the file, strings, number of the record of each."""


def texts(evaluations: Path | Input) -> Iterator[Texts]:
    """Some thousand strings at a time. Raises Problem on a file that cannot be read and where there is no string at all."""
    found = False
    for name, path in _files(evaluations):
        for strings, records in _parquet(path, name) if name.endswith(".parquet") else _json(path, name):
            found = found or len(strings) > 0
            yield name, strings, records
    if not found:
        place = evaluations.folder if isinstance(evaluations, Input) else evaluations
        raise Problem(
            f"found no text in the evaluation sets at {place}, expected strings in files of {', '.join(KINDS)}; check the path"
        )


def _files(evaluations: Path | Input) -> list[tuple[str, Path]]:
    """Name, as told to a person, and path. A lone file is known by its content alone, so it has no name here."""
    if isinstance(evaluations, Path) and not evaluations.is_dir():
        return [("", _known(evaluations))]
    if isinstance(evaluations, Path):
        paths = (path for path in evaluations.rglob("*") if path.is_file())
        evaluations = Input(evaluations, tuple(sorted(path.relative_to(evaluations).as_posix() for path in paths)))
    names = [name for name in evaluations.names if not Path(name).name.lower().startswith((".", *ABOUT))]
    return [(name, _known(evaluations.folder / name)) for name in names]


def _known(path: Path) -> Path:
    if not path.name.endswith(KINDS):
        raise Problem(
            f"found {path.name} among the evaluation sets, expected files of {', '.join(KINDS)}; convert it or take it out"
        )
    return path


def _parquet(path: Path, name: str) -> Iterator[tuple[pl.Series, pl.Series]]:
    try:
        frame = read_parquet(str(path))
    except (pa.ArrowInvalid, OSError) as error:
        raise Problem(f"cannot read the evaluation set {path}: {error}; expected a Parquet file") from error
    for column in frame.get_columns():
        yield from _strings(column, pl.Series(np.arange(1, frame.height + 1)))


def _strings(column: pl.Series, records: pl.Series) -> Iterator[tuple[pl.Series, pl.Series]]:
    dtype = column.dtype
    if dtype == pl.String:
        yield column, records
    elif isinstance(dtype, (pl.Categorical, pl.Enum)):
        yield column.cast(pl.String), records
    elif isinstance(dtype, (pl.List, pl.Array)):
        inner = pl.DataFrame({"item": column, "record": records}).explode("item")
        yield from _strings(inner["item"], inner["record"])
    elif isinstance(dtype, pl.Struct):
        for field in dtype.fields:
            yield from _strings(column.struct.field(field.name), records)


def _json(path: Path, name: str) -> Iterator[tuple[pl.Series, pl.Series]]:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            numbered = enumerate(_records(file, ".jsonl" in path.suffixes), 1)
            while some := list(itertools.islice(numbered, LINES)):
                pairs = [(text, number) for number, record in some for text in _inside(record)]
                yield (
                    pl.Series([text for text, _ in pairs], dtype=pl.String),
                    pl.Series([number for _, number in pairs], dtype=pl.Int64),
                )
    except (orjson.JSONDecodeError, EOFError, OSError, zlib.error) as error:
        raise Problem(f"cannot read the evaluation set {path}: {error}; expected JSON, in .jsonl one record a line") from error


def _records(file: IO[bytes] | gzip.GzipFile, lines: bool) -> Iterator[Any]:
    if lines:
        yield from (orjson.loads(line) for line in file if line.strip())
    else:
        whole = orjson.loads(file.read())
        yield from whole if isinstance(whole, list) else [whole]


def _inside(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _inside(part)
