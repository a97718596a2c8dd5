"""What an artifact is called: its recipe from a stage, a config and what it is given, before anything runs."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from stages.stage import Config, Input, Stage
from storage.canonical import digest
from storage.problem import Problem
from storage.recipe import Recipe
from storage.snapshot import Snapshot


@dataclass(frozen=True)
class Dataset:
    """A sealed artifact in a running flow."""

    recipe: Recipe
    snapshot: Snapshot
    columns: Mapping[str, pl.DataType]
    """Columns that the next stage sees."""
    inputs: Mapping[str, str]
    """Name -> snapshot reference, for the run record."""
    filters: bool = False
    """Whether its rows have a `reason`."""
    cached: bool = False


Given = Dataset | Path | Input | Mapping[str, str]
"""What a stage may be given by name: an artifact, a local file or folder, some files of a folder; or a mapping, which changes no output
and is in no key: where crawl files lie, on which device to compute."""


def recipe_of(stage: Stage, config: Config, docs: Dataset | None, given: Mapping[str, Given]) -> Recipe:
    inputs: dict[str, str] = {}
    if docs is not None:
        inputs["docs"] = f"{docs.snapshot.stage}/{docs.recipe.key}"
    for name, value in given.items():
        if isinstance(value, Dataset):
            if stage.shape == "whole":
                inputs[name] = value.snapshot.reference
            elif stage.sides[name] == "shard":
                inputs[name] = f"{value.snapshot.stage}/{value.recipe.family}"
            else:
                inputs[name] = f"{value.snapshot.stage}/{value.recipe.key}"
        elif not isinstance(value, Mapping):
            inputs[name] = reference(value)
    return Recipe(stage.name, stage.version, config.model_dump(mode="json"), inputs)


def reference(value: Given) -> str:
    if isinstance(value, Dataset):
        return value.snapshot.reference
    if isinstance(value, Input):
        return f"file:{digest([[name, _file_digest(value.folder / name)] for name in value.names], 16)}"
    assert isinstance(value, Path)
    if value.is_dir():
        names = tuple(sorted(path.relative_to(value).as_posix() for path in value.rglob("*") if path.is_file()))
        return reference(Input(value, names))
    return f"file:{_file_digest(value)[:16]}"


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Problem(f"cannot read {path}: {error.strerror}. Expected a readable local file; check the path") from error
