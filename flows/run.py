"""One run of a flow: the one place where stages meet Prefect. Each stage is one Prefect task over `materialize`."""

import contextlib
import contextvars
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Generic, Literal, TypeVar

from prefect import get_run_logger, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.exceptions import MissingContextError
from prefect.states import Completed
from prefect.utilities.schema_tools import hydrate
from pydantic import BaseModel, Field, model_validator

from flows.bar import Bar
from flows.engines.attempt import attempt
from flows.engines.engine import Engine, Failed
from flows.engines.local import LocalEngine
from flows.engines.ray import RayEngine
from flows.identity import Dataset, Given
from flows.materialize import Context, explained, materialize
from flows.progress import Event
from flows.watch import Watch, artifact_key
from stages.stage import Config, Stage
from storage.runs import RunRecord
from storage.store import Store

Result = TypeVar("Result")
PAUSE = 0.5  # seconds


class Parameters(BaseModel):
    """Base of every flow's parameters: also the form in the Prefect UI, where docstrings are the descriptions."""

    model_config = Config.model_config

    @model_validator(mode="before")
    @classmethod
    def _rest_of_sections(cls, values: Any) -> Any:
        """A section that is given in part keeps this flow's values of the rest, which are not always those of the stage.

        A schedule's parameters come as Prefect's form has saved them: `{"__prefect_kind": "json"}` for what is not given.
        """
        if not isinstance(values, dict):
            return values
        return {
            name: _over(cls.model_fields[name].default, value) if name in cls.model_fields else value
            for name, value in hydrate(values).items()
        }


def _over(default: Any, value: Any) -> Any:
    if not (isinstance(default, BaseModel) and isinstance(value, dict)):
        return value
    rest = dict(default)
    return rest | {name: _over(rest.get(name), given) for name, given in value.items()}


class Mechanics(Parameters):
    """Where and how a flow runs; none of it changes what comes out."""

    # Of a schedule edited in the UI no more parameters may come than were changed: `winnow up` and deploy/compose.yaml set the variable.
    store: str = Field(default_factory=lambda: os.environ.get("WINNOW_STORE", "./store"))
    """Where artifacts are kept: a local folder or an fsspec URL such as s3://bucket/prefix."""
    engine: Literal["local", "ray"] = "local"
    """Where stages run: a pool of processes on this machine, or a Ray cluster."""
    workers: int = Field(default=0, ge=0, le=10_000)
    """Workers at a time; 0: one for each core."""
    address: str = ""
    """Of a running Ray cluster; empty: a local one for this run."""
    notify: str = ""
    """Prefect block that is told when a run fails, such as webhook/ops or slack-webhook/ops; empty: nobody."""


class Beside(Generic[Result]):
    """Steps that are done in a thread of their own."""

    def __init__(self, future: Future[Result]) -> None:
        self._future = future

    def result(self) -> Result:
        """Wait for them; raises what they raised. Looks up now and then: polars has a SIGINT handler after which a wait for a lock just goes
        on, and Ctrl-C would be heard when all is done."""
        while not self._future.done():
            wait([self._future], timeout=PAUSE)
        return self._future.result()

    def check(self) -> None:
        """Raises what they raised, if they have."""
        if self._future.done():
            self._future.result()


class Run:
    """A flow's run: `stage` makes one artifact after another; the record says what was made from what."""

    def __init__(
        self, record: RunRecord, store: Store, engine: Engine, bar: Bar, threads: ThreadPoolExecutor, suffix: str = ""
    ) -> None:
        self.record = record
        self.store = store
        self.engine = engine
        self.bar = bar
        self.threads = threads
        self.suffix = suffix
        """Behind the name of every stage: where the same steps are done again with another seed."""
        self.made: dict[str, Dataset] = {}
        self.begun: list[Beside[Any]] = []
        """What is done beside."""
        self.recording = threading.Lock()

    def again(self, suffix: str) -> "Run":
        """The same run, for steps that are done once more; what they make is found in this run's `made` too."""
        other = Run(self.record, self.store, self.engine, self.bar, self.threads, f"{self.suffix}_{suffix}")
        other.made, other.begun, other.recording = self.made, self.begun, self.recording
        return other

    def beside(self, work: Callable[[], Result]) -> Beside[Result]:
        """Have steps of this run done in a thread of their own, after those that were begun so before: measures, and whatever the steps that
        follow do not need at once. `result()` waits for them and raises what they raised, as does the run's next step; the run ends when
        all have ended."""
        begun = Beside(self.threads.submit(contextvars.copy_context().run, work))  # in the context Prefect finds the flow's run
        self.begun.append(begun)
        return begun

    def stage(
        self,
        stage: Stage,
        config: Config,
        docs: Dataset | None = None,
        more: Mapping[str, Given] | None = None,
        /,
        *,
        label: str = "",
        **given: Given,
    ) -> Dataset:
        """Make sure that the artifact of `stage` over `docs` is there; one Prefect task, in the state `Cached` if it was.

        `given` and `more` (where a person chose the names): what else it needs. `label`: its name in this run, where a stage is used
        more than once.
        """
        everything = {**given, **(more or {})}
        return self.task(label or stage.name, lambda context: materialize(context, stage, config, docs, everything))

    def task(self, name: str, make: Callable[[Context], Dataset]) -> Dataset:
        for begun in self.begun:
            begun.check()
        name += self.suffix
        made: list[Dataset] = []

        @task(name=name, task_run_name=name, cache_policy=NO_CACHE, persist_result=False)
        def body() -> State[None]:
            begun = time.monotonic()

            def make_and_record(context: Context) -> Dataset:
                dataset = make(context)
                with self.recording:
                    self.record.add(name, dataset.snapshot, dict(dataset.inputs), dataset.cached, time.monotonic() - begun)
                    self.record.save(self.store)
                return dataset

            # Workers try again by themselves; this is for listing, sealing and recording, which are done here.
            with self._progress(name) as context:
                dataset = attempt(make_and_record, context)
            if isinstance(dataset, Failed):
                raise explained(name, dataset.error)
            snapshot = dataset.snapshot
            self.bar.finish(name, snapshot, dataset.cached, time.monotonic() - begun)
            made.append(dataset)
            message = f"{snapshot.kept:,} of {snapshot.rows:,} rows kept, {len(snapshot.files)} files, {snapshot.reference}"
            return Completed(name="Cached" if dataset.cached else "Completed", message=message)

        body()
        self.made[name] = made[0]
        return made[0]

    def summary(self) -> dict[str, Any]:
        """Stage -> where its artifact lies and what it holds."""
        return {
            name: {
                "path": self.store.full(made.snapshot.folder),
                "key": made.snapshot.key,
                "snapshot": made.snapshot.id,
                "rows": made.snapshot.rows,
                "kept": made.snapshot.kept,
                "cached": made.cached,
            }
            for name, made in self.made.items()
        }

    @contextlib.contextmanager
    def _progress(self, name: str) -> Iterator[Context]:
        """Progress to the terminal and, at most every two seconds, to a progress artifact in the Prefect UI; trainings with their curves."""
        artifact: Any = None
        shown = 0.0
        watch = Watch(name)

        def advance(stage: str, done: int, total: int, unit: str = "shards", text: str = "") -> None:
            nonlocal artifact, shown
            self.bar.advance(stage, done, total, unit, text)
            now = time.monotonic()
            if done == total and artifact is None:
                return  # nothing was worth watching
            if artifact is None:
                artifact = create_progress_artifact(
                    progress=0.0, key=artifact_key(f"progress {name}"), description=f"{stage}: {total:,} {unit}"
                )
            if now - shown > 2.0 or done == total:
                said = f"{stage}: {done:,} of {total:,} {unit}" + (f", {text}" if text else "")
                update_progress_artifact(artifact_id=artifact, progress=100.0 * done / max(total, 1), description=said)
                shown = now

        def event(stage: str, event: Event) -> None:
            if "total" in event:
                advance(stage, event["done"], event["total"], event.get("unit", "steps"), event.get("text", ""))
            watch.hear(event)

        yield Context(self.store, self.engine, self.say, advance, event)
        watch.finish()

    def say(self, text: str) -> None:
        """One clear line, in the terminal and in the run's log."""
        self.bar.say(text)
        with contextlib.suppress(MissingContextError):
            get_run_logger().warning(text)


@contextlib.contextmanager
def open_run(flow: str, parameters: dict[str, Any], mechanics: Mechanics) -> Iterator[Run]:
    """Store, engine, record and bar for the time of one run; whatever ends it, workers stop and the record says so."""
    store = Store(mechanics.store)
    store.check()
    record = RunRecord(flow, parameters)
    engine: Engine = (
        RayEngine(mechanics.address, mechanics.workers) if mechanics.engine == "ray" else LocalEngine(mechanics.workers)
    )
    with Bar() as bar, ThreadPoolExecutor(1, "beside") as threads:
        try:
            with record.kept(store, bar.say):
                run = Run(record, store, engine, bar, threads)
                yield run
                for begun in run.begun:
                    begun.result()
        finally:
            engine.close()  # ends what is still done beside
            threads.shutdown(cancel_futures=True)
