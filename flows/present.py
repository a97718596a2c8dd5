"""What of an artifact is there already, and whether it can be trusted: by a snapshot that lists it, or by looking inside."""

import itertools
import json
from collections.abc import Callable, Mapping

import polars as pl

from flows.work import ShardTask
from storage.recipe import Recipe
from storage.shards import File, examine, footer, part_name
from storage.snapshot import snapshots
from storage.store import TEMPORARY, Store


def begin(store: Store, folder: str, recipe: Recipe) -> dict[str, int]:
    """Sizes of the files that are there; the recipe is written first, leftovers of a run that died are removed."""
    path, data = f"{folder}/recipe.json", (json.dumps(recipe.document(), indent=1, sort_keys=True) + "\n").encode()
    sizes = store.sizes(folder)
    if sizes.get("recipe.json") != len(data) or store.read(path) != data:
        store.write(path, data)
    if store.is_local:
        for left in store.local(folder).glob(f"{TEMPORARY}*"):
            if left.is_file():  # the working folder of a whole stage is its own to tidy
                left.unlink(missing_ok=True)
    return sizes


def listed_files(store: Store, stage: str, key: str, sizes: Mapping[str, int]) -> dict[str, File]:
    """Name -> entry of every file that is there as some snapshot lists it; of what else these snapshots list, too.

    A folder that grew a hundred times has a hundred snapshots: the largest is read first, and mostly none after it.
    """
    listed: dict[str, File] = {}
    unlisted = {name for name in sizes if name != "recipe.json"}
    for one in snapshots(store, stage, key) if unlisted else ():
        for file in one.files:
            fits = sizes.get(file.name) == file.bytes
            if fits or file.name not in listed:
                listed[file.name] = file
            if fits:
                unlisted.discard(file.name)
        if not unlisted:
            break
    return listed


def found_files(
    store: Store,
    say: Callable[[str], None],
    task: ShardTask,
    columns: Mapping[str, pl.DataType],
    listed: dict[str, File],
    sizes: Mapping[str, int],
) -> list[File] | None:
    """The task's output if it is all there: listed by a snapshot, or whole and of the right schema (a run died before its snapshot)."""
    if task.name not in sizes:
        return None
    files = []
    for name in _parts(store, task, listed) if task.stage.shape == "parts" else [task.name]:
        file = listed.get(name)
        if file is not None and sizes.get(name) != file.bytes:
            return None
        if file is None and name in sizes:
            file = examine(store, task.folder, name, columns, name if task.stage.shape == "parts" else task.origin)
            if file is None:
                say(f"{task.stage.name}: {name} is damaged ({sizes[name]} bytes, no whole shard); making it anew")
        if file is None:
            return None
        files.append(file)
    return files or None


def _parts(store: Store, task: ShardTask, listed: Mapping[str, File]) -> list[str]:
    """Names of all parts of the task's output. A snapshot that lists the first lists all; else the first itself tells their number."""
    names = (part_name(task.stem, part, list(task.inputs)) for part in itertools.count())
    if task.name in listed:
        return list(itertools.takewhile(listed.__contains__, names))
    count = int(footer(store, f"{task.folder}/{task.name}").get("winnow.parts", "0"))
    return list(itertools.islice(names, count))
