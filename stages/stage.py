"""A stage is a value: a name, a hand-bumped version, a pure function and what it reads and adds.

Three shapes, by what `run` gets and gives:

| shape | run | for |
|---|---|---|
| shard | `run(docs, config, sides) -> DataFrame` | one Parquet shard in, one shard out: every filter, language, PII ... |
| parts | the same, and the result has an i32 column `part` | one source in, one shard out for each value of `part`: records |
| whole | `run(inputs, out, config) -> stats` | sees whole artifacts and owns a folder: clusters, training ... |

A shard stage gets only rows that the stage before kept (`reason` is null) and only the columns that last: the signals and the
`reason*` columns of the stage before are gone. It gives back its input columns (or those of `keeps` that are there), then `adds`, then
`signals`, then, where `filters` is true, the four columns of REASON. Filters tag and never drop: rows in = rows out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict
from pydantic.fields import ComputedFieldInfo, FieldInfo

REASON: dict[str, pl.DataType] = {
    "reason": pl.String(),  # null = kept, else the first rule that the row broke
    "reason_value": pl.Float64(),  # what was measured
    "reason_threshold": pl.Float64(),  # what the rule allows
    "reason_detail": pl.String(),  # for a person: the word, the n-gram, the error
}

SideKind = Literal["file", "artifact", "shard", "crawl"]
"""What else a shard stage reads, and what `sides[name]` is when it runs:

| kind | value | identity |
|---|---|---|
| file | `pathlib.Path` of a local read-only file or folder | content digest, in the recipe |
| artifact | `Input`: the artifact's files, in a local folder | key, in the recipe |
| shard | `pl.DataFrame`: the shard of the other artifact that matches this one | its digest, in the shard's name |
| crawl | `dict[str, str]`: source digest -> URL where that crawl file lies now | none: where a file lies changes no output |
"""


@dataclass(frozen=True)
class Input:
    """The files of one artifact as a whole stage sees them: all in one local folder, only those of the snapshot, sorted."""

    folder: Path
    names: tuple[str, ...]

    @property
    def shards(self) -> list[Path]:
        """The Parquet files."""
        return [self.folder / name for name in self.names if name.endswith(".parquet")]


Columns = Mapping[str, pl.DataType]
Sides = Mapping[str, Any]


def title(name: str, field: FieldInfo | ComputedFieldInfo) -> str:
    """Of a field in a form, as pydantic gives it to plain ones: a section would be headed by its class, of which a form may have several."""
    return name.replace("_", " ").title()


class Config(BaseModel):
    """Base of every stage's settings. Each field changes the output, has a docstring of one line, bounds and a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, field_title_generator=title)


@dataclass(frozen=True)
class Stage:
    """What a stage is. `run` is a pure function at module level; see the module docstring for the shapes."""

    name: str
    version: int
    run: Callable[..., Any]
    config: type[Config]
    needs: Columns = field(default_factory=dict)
    adds: Columns = field(default_factory=dict)
    signals: Columns = field(default_factory=dict)
    keeps: tuple[str, ...] | None = None
    filters: bool = False
    sides: Mapping[str, SideKind] = field(default_factory=dict)
    shape: Literal["shard", "parts", "whole"] = "shard"

    def lasting(self, before: Columns) -> dict[str, pl.DataType]:
        """Columns that the next stage sees, given those that this stage sees."""
        kept = dict(before) if self.keeps is None else {name: before[name] for name in self.keeps if name in before}
        return kept | dict(self.adds)

    def schema(self, before: Columns) -> dict[str, pl.DataType]:
        """Columns of this stage's shards, in order, given those that this stage sees."""
        return self.lasting(before) | dict(self.signals) | (REASON if self.filters else {})
