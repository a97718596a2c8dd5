"""Small stages over small rows, for tests of what runs stages. They live in a module so that workers can import them."""

import os
import signal
import time
from pathlib import Path

import polars as pl

from flows.engines.engine import Engine
from flows.identity import Dataset
from flows.materialize import Context, sources
from stages.rules import Rule, decide
from stages.stage import REASON, Config, Stage
from storage.problem import Problem
from storage.shards import encode
from storage.store import Store

ROWS = {"id": pl.String(), "number": pl.Int64()}
DOCUMENTS = {"id": pl.String(), "text": pl.String()}


class NoConfig(Config):
    """Nothing to set."""


class BelowConfig(Config):
    """Of BELOW."""

    largest: int = 5
    """Numbers above are dropped."""


def _below(docs: pl.DataFrame, config: BelowConfig, sides: object) -> pl.DataFrame:
    measured = docs.with_columns((pl.col("number") * 2).alias("twice"))
    return decide(measured, [Rule("large", "number", "above", config.largest)])


class MeetConfig(Config):
    """Of MEET."""

    mine: str
    """A file that is made."""
    other: str
    """One that is waited for."""


def _meet(inputs: dict, out: Path, config: MeetConfig) -> dict:
    """Ends when whoever makes the other file is at work too."""
    Path(config.mine).touch()
    deadline = time.monotonic() + 60
    while not Path(config.other).exists():
        if time.monotonic() > deadline:
            raise Problem(f"nobody made {config.other}")
        time.sleep(0.02)
    (out / "met.txt").write_text("met")
    return {}


def _squares(docs: pl.DataFrame, config: Config, sides: object) -> pl.DataFrame:
    return docs.with_columns((pl.col("number") ** 2).cast(pl.Int64).alias("square"))


def _marked(inputs: dict, out: Path, config: Config) -> dict:
    """One file for each input shard: its even numbers."""
    for path in inputs["docs"].shards:
        even = pl.read_parquet(path).filter(pl.col("number") % 2 == 0).select("number")
        (out / path.name).write_bytes(encode(even, {"number": pl.Int64()}))
    return {"shards": len(inputs["docs"].shards)}


def _interrupted(inputs: dict, out: Path, config: Config) -> dict:
    """Dies in its first attempt, with a checkpoint and half of its outputs written."""
    if not (out / ".checkpoint" / "state").exists():
        (out / ".checkpoint").mkdir()
        (out / ".checkpoint" / "state").write_text("half")
        (out / "nested").mkdir()
        (out / "nested" / "first.txt").write_text("of the first attempt")
        os.kill(os.getpid(), signal.SIGKILL)
    (out / "second.txt").write_text((out / ".checkpoint" / "state").read_text())
    return {}


def _unmarked(docs: pl.DataFrame, config: Config, sides: dict) -> pl.DataFrame:
    marked = sides["marked"]["number"].to_list()
    return docs.with_columns(pl.col("number").is_in(marked).alias("even"))


def _deadly(docs: pl.DataFrame, config: Config, sides: object) -> pl.DataFrame:
    """Kills its worker on the number 13, as a parser's fault would; on 99 by the limit on CPU time."""
    numbers = docs["number"].to_list()
    if 13 in numbers:
        os.kill(os.getpid(), signal.SIGSEGV)
    if 99 in numbers:
        os.kill(os.getpid(), signal.SIGXCPU)
    return docs.with_columns(pl.lit("ok").alias("text"), **{name: pl.lit(None, dtype) for name, dtype in REASON.items()})


def _faulty(docs: pl.DataFrame, config: Config, sides: object) -> pl.DataFrame:
    raise ZeroDivisionError("no number can do this")


def _slow(docs: pl.DataFrame, config: Config, sides: object) -> pl.DataFrame:
    time.sleep(0.3)
    return docs.with_columns(pl.lit(1).cast(pl.Int64).alias("one"))


NUMBERS = Stage("numbers", 1, run=_squares, config=NoConfig, adds=ROWS)
TEXTS = Stage("texts", 1, run=_squares, config=NoConfig, adds=DOCUMENTS)
BELOW = Stage("below", 1, run=_below, config=BelowConfig, needs=ROWS, signals={"twice": pl.Int64()}, filters=True)
SQUARES = Stage("squares", 1, run=_squares, config=NoConfig, needs=ROWS, adds={"square": pl.Int64()})
MARKED = Stage("marked", 1, run=_marked, config=NoConfig, shape="whole")
INTERRUPTED = Stage("interrupted", 1, run=_interrupted, config=NoConfig, shape="whole")
UNMARKED = Stage("unmarked", 1, run=_unmarked, config=NoConfig, adds={"even": pl.Boolean()}, sides={"marked": "shard"})
DEADLY = Stage("deadly", 1, run=_deadly, config=NoConfig, adds={"text": pl.String()}, filters=True)
FAULTY = Stage("faulty", 1, run=_faulty, config=NoConfig)
SLOW = Stage("slow", 1, run=_slow, config=NoConfig, adds={"one": pl.Int64()})


class Heard(list[str]):
    """What a run said."""


def context(store: Store, engine: Engine, heard: list[str] | None = None) -> Context:
    said = heard if heard is not None else []
    return Context(store, engine, said.append, lambda stage, done, total: None)


def numbers(made: Context, files: dict[str, list[int]]) -> Dataset:
    """A dataset with one shard for each file."""
    rows = {}
    for path, values in files.items():
        frame = pl.DataFrame({"id": [f"{path}:{value}" for value in values], "number": values}, schema=ROWS)
        rows[f"digest of {path} {values}"] = (path, frame)
    return sources(made, NUMBERS, NoConfig(), rows)


def texts(made: Context, values: list[str]) -> Dataset:
    """A dataset of documents, in one shard."""
    frame = pl.DataFrame({"id": [f"doc-{n}" for n in range(len(values))], "text": values}, schema=DOCUMENTS)
    return sources(made, TEXTS, NoConfig(), {"digest of texts": ("texts.jsonl", frame)})


def files_of(store: Store) -> dict[str, bytes]:
    """Every file of a local store apart from run records and mechanics."""
    root = Path(store.root)
    paths = [path for path in root.rglob("*") if path.is_file() and path.relative_to(root).parts[0] not in ("runs", ".winnow")]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(paths)}


def times_of(store: Store) -> dict[str, int]:
    """When each shard was written: a rewritten one has another time."""
    root = Path(store.root)
    return {path.relative_to(root).as_posix(): path.stat().st_mtime_ns for path in sorted(root.rglob("*.parquet"))}


def double(task: int) -> int:
    return 2 * task


def divide(task: int) -> float:
    return 1 / task


def sleep(task: float) -> None:
    time.sleep(task)


def own_pid(task: None) -> int:
    return os.getpid()


def die_if_odd(task: int) -> int:
    if task % 2:
        os.kill(os.getpid(), signal.SIGSEGV)
    return task


def die_the_first_time(task: str) -> str:
    if task and not Path(task).exists():
        Path(task).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


MEET = Stage(name="meet", version=1, run=_meet, config=MeetConfig, shape="whole")
