"""From (stage, config, inputs) to a sealed artifact: what is there already is left alone, what is missing is computed.

The one place for caching, locks, engines, death and damage. Nothing here knows Prefect: `flows/run.py` does.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from flows.engines.attempt import external
from flows.engines.engine import Died, Engine, Failed
from flows.identity import Dataset, Given, recipe_of, reference
from flows.isolate import divisible, run_isolated
from flows.present import begin, found_files, listed_files
from flows.progress import Event, listening
from flows.work import Artifact, Shard, ShardTask, WholeTask, run_shard, run_whole, working_folder
from models.unusable import Unusable
from stages.stage import Config, Stage
from storage.locks import lock
from storage.problem import Problem
from storage.recipe import Recipe
from storage.shards import File, file_stem, next_name, part_name, write_shard
from storage.snapshot import Snapshot, snapshots
from storage.store import Store


@dataclass(frozen=True)
class Context:
    store: Store
    engine: Engine
    say: Callable[[str], None]
    """Told what a person should know: waiting, damage, crashes."""
    advance: Callable[[str, int, int], None]
    """Told (stage, shards done, shards in all)."""
    event: Callable[[str, Event], None] = lambda stage, event: None
    """Told (stage, what it says of itself while it runs)."""


def materialize(
    context: Context, stage: Stage, config: Config, docs: Dataset | None = None, given: Mapping[str, Given] | None = None
) -> Dataset:
    """The artifact of `stage` over `docs` and what else it needs by name. Raises Problem or StageError; what is done stays done."""
    given = given or {}
    if stage.shape == "whole" and docs is not None:
        given = {"docs": docs, **given}  # an input like any other: a snapshot of it, not the rows of one shard
        docs = None
    recipe = recipe_of(stage, config, docs, given)
    inputs = {
        name: reference(value)
        for name, value in {"docs": docs, **given}.items()
        if value is not None and not isinstance(value, Mapping)
    }
    folder = f"{stage.name}/{recipe.key}"
    with lock(
        context.store, f"{stage.name}-{recipe.key}", lambda who: context.say(f"{stage.name}: {who}; waiting for it to finish")
    ):
        if stage.shape == "whole":
            snapshot, cached = _whole(context, stage, config, recipe, folder, given)
            columns: Mapping[str, pl.DataType] = stage.adds
        else:
            assert docs is not None
            snapshot, cached = _shards(context, stage, config, recipe, folder, docs, given)
            columns = stage.lasting(docs.columns)
    return Dataset(recipe, snapshot, columns, inputs, stage.filters, cached)


class StageError(Exception):
    """A bug in a stage, with the traceback of the worker."""


def _side(value: Given) -> Any:
    return Artifact(value.snapshot.stage, value.snapshot.key, value.snapshot.id) if isinstance(value, Dataset) else value


def _shards(
    context: Context, stage: Stage, config: Config, recipe: Recipe, folder: str, docs: Dataset, given: Mapping[str, Given]
) -> tuple[Snapshot, bool]:
    missing_columns = [name for name in stage.needs if name not in docs.columns]
    if missing_columns:
        raise Problem(f"{stage.name} needs the columns {missing_columns}; {docs.snapshot.reference} has {sorted(docs.columns)}")
    sizes = begin(context.store, folder, recipe)
    listed = listed_files(context.store, stage.name, recipe.key, sizes)
    columns = stage.schema(docs.columns)
    matching = {
        name: {file.origin: file for file in value.snapshot.shards}
        for name, value in given.items()
        if isinstance(value, Dataset) and stage.sides[name] == "shard"
    }
    done: list[File] = []
    tasks: list[ShardTask] = []
    for source in docs.snapshot.shards:
        task = _task(context.store, stage, config, folder, docs, source, given, matching)
        found = found_files(context.store, context.say, task, columns, listed, sizes)
        if found is None:
            tasks.append(task)
        else:
            done += found
    total = len(docs.snapshot.shards)
    context.advance(stage.name, total - len(tasks), total)
    for finished, files in enumerate(_run(context, tasks), total - len(tasks) + 1):
        done += files
        context.advance(stage.name, finished, total)
    snapshot = Snapshot.of(stage.name, recipe.key, done)
    return snapshot, not snapshot.seal(context.store) and not tasks


def _task(
    store: Store,
    stage: Stage,
    config: Config,
    folder: str,
    docs: Dataset,
    source: File,
    given: Mapping[str, Given],
    matching: Mapping[str, Mapping[str | None, File]],
) -> ShardTask:
    origin = source.origin or source.name
    sides: dict[str, Any] = {}
    for name, value in given.items():
        if name not in matching:
            sides[name] = _side(value)
        elif isinstance(value, Dataset) and origin in matching[name]:
            sides[name] = Shard(value.snapshot.folder, matching[name][origin])
        else:
            raise Problem(
                f"{reference(value)} has no shard that matches {origin}; it was made from other inputs. Run the flow from its beginning"
            )
    digests = [source.digest, *(side.file.digest for _, side in sorted(sides.items()) if isinstance(side, Shard))]
    task = ShardTask(
        store=store,
        stage=stage,
        config=config,
        before=docs.columns,
        source=Shard(docs.snapshot.folder, source),
        filtered=docs.filters,
        folder=folder,
        name=next_name(origin, digests),
        origin=origin,
        sides=sides,
    )
    if stage.shape == "parts":
        inputs = (origin, *digests)
        stem = origin.rpartition("-p")[0]
        return replace(task, name=part_name(stem, 0, list(inputs)), inputs=inputs, stem=stem)
    return task


def _run(context: Context, tasks: list[ShardTask]) -> Iterator[list[File]]:
    for index, result in context.engine.map(run_shard, tasks):
        task = tasks[index]
        if isinstance(result, Died) and divisible(task):
            context.say(f"{task.stage.name}: the worker on {task.name} died twice ({result.detail}); looking for the page")
            [(_, isolated)] = context.engine.map(run_isolated, [task])
            file, killers = _result(task.stage, task.name, isolated)
            for page, what in killers.items():
                context.say(f"{task.stage.name}: page {page}: {what}")
            yield [file]
        else:
            yield _result(task.stage, task.name, result)


def _result(stage: Stage, name: str, result: Any) -> Any:
    if isinstance(result, Died):
        raise Problem(
            f"{stage.name}: the worker on {name} died twice ({result.detail}). Most often memory ran out: give fewer workers (--set workers=1); "
            "what is finished is kept"
        )
    if isinstance(result, Failed):
        if isinstance(result.error, Problem | Unusable):
            raise Problem(f"{stage.name}: {result.error}") from result.error
        if external(result.error):
            raise explained(f"{stage.name}: {name}", result.error) from result.error
        raise StageError(
            f"{stage.name} failed on {name}: {type(result.error).__name__}: {result.error}\n{result.traceback}"
        ) from result.error
    return result


def explained(what: str, error: BaseException) -> BaseException:
    """A fault of disks, networks or clouds as a Problem that says what to do; anything else as it is."""
    if not external(error):
        return error
    return Problem(
        f"{what}: {type(error).__name__}: {error}. Expected to read the input and to write to the store; check space, permissions and "
        "network, then run again: what is finished is kept"
    )


def _whole(
    context: Context, stage: Stage, config: Config, recipe: Recipe, folder: str, given: Mapping[str, Given]
) -> tuple[Snapshot, bool]:
    begin(context.store, folder, recipe)
    nested = {path.removeprefix(f"{folder}/"): size for path, size in context.store.walk(folder)}
    for one in snapshots(context.store, stage.name, recipe.key):
        if all(nested.get(file.name) == file.bytes for file in one.files):
            context.advance(stage.name, 1, 1)
            return one, True
    context.advance(stage.name, 0, 1)
    inputs = {name: _side(value) for name, value in given.items()}
    task = WholeTask(context.store, stage, config, folder, inputs)
    with listening(working_folder(context.store, folder), lambda event: context.event(stage.name, event)):
        [(_, result)] = list(context.engine.map(run_whole, [task]))
    files, stats = _result(stage, stage.name, result)
    snapshot = Snapshot.of(stage.name, recipe.key, files, stats)
    snapshot.seal(context.store)
    context.advance(stage.name, 1, 1)
    return snapshot, False


def sources(context: Context, stage: Stage, config: Config, rows: Mapping[str, tuple[str, pl.DataFrame]]) -> Dataset:
    """The artifact of the crawl files themselves: one shard of one row a file. `rows`: source digest -> (path, row)."""
    recipe = Recipe(stage.name, stage.version, config.model_dump(mode="json"), {})
    folder = f"{stage.name}/{recipe.key}"
    with lock(context.store, f"{stage.name}-{recipe.key}", context.say):
        sizes = begin(context.store, folder, recipe)
        listed = listed_files(context.store, stage.name, recipe.key, sizes)
        files = []
        new = 0
        for source, (path, row) in rows.items():
            name = part_name(file_stem(path), 0, [source])
            if name not in listed or sizes.get(name) != listed[name].bytes:
                new += 1
                listed[name] = write_shard(context.store, folder, name, row, stage.adds, name)
            files.append(listed[name])
        snapshot = Snapshot.of(stage.name, recipe.key, files)
        cached = not snapshot.seal(context.store) and not new
    context.advance(stage.name, len(files), len(files))
    return Dataset(recipe, snapshot, dict(stage.adds), {}, stage.filters, cached)
