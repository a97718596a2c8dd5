"""`winnow bench viewer`: how quick the viewer is on a large dataset, and how much memory it takes, measured on this machine.

The dataset is made for the purpose by storage's own shard writer: rows shaped like those of a filter stage (id, url, date, text of about
600 characters, four measures, a reason for one row in twenty). The viewer runs as a process of its own.
"""

import contextlib
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import numpy as np
import polars as pl
import psutil
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from flows.commands.options import JsonOption
from flows.commands.terminal import console
from storage.problem import Problem
from storage.recipe import Recipe
from storage.runs import RunRecord
from storage.shards import part_name, write_shard
from storage.snapshot import Snapshot, load
from storage.store import Store

COLUMNS: dict[str, pl.DataType] = {
    "id": pl.String(),
    "url": pl.String(),
    "date": pl.String(),
    "language": pl.String(),
    "language_score": pl.Float64(),
    "text": pl.String(),
    "word_count": pl.Int64(),
    "sentences": pl.Int64(),
    "mean_word_length": pl.Float64(),
    "reason": pl.String(),
    "reason_value": pl.Float64(),
    "reason_threshold": pl.Float64(),
    "reason_detail": pl.String(),
}
NEEDLE = "a needle in the very last row"
MIN_SENTENCES = 5
START_SECONDS = 60

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy of the environment is not for loopback


@dataclass(frozen=True)
class Measure:
    name: str
    first_ms: float
    """The first time that anybody asked."""
    median_ms: float
    """Of the times after it."""
    kilobytes: float


def viewer(
    rows: Annotated[int, typer.Option("--rows", min=1_000, help="Rows of the dataset.")] = 5_000_000,
    shards: Annotated[int, typer.Option("--shards", min=1, max=1_000, help="In how many shards.")] = 20,
    repeat: Annotated[
        int, typer.Option("--repeat", min=1, max=1_000, help="How often each page is asked for after the first time.")
    ] = 5,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Where the dataset is made, and kept for the next time; default: a temporary folder."),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Make a dataset of 5 million rows in 20 shards, start the viewer on it, measure its pages in ms and its memory."""
    with _place(folder) as place:
        store = Store(str(place))
        begun = time.monotonic()
        snapshot = dataset(store, rows, shards)
        made = time.monotonic() - begun
        with running(place) as (address, process):
            idle = process.memory_info().rss
            measures = [measure(address, name, path, repeat) for name, path in pages(snapshot).items()]
            peak = _peak(process)
    document = {
        "rows": rows,
        "shards": shards,
        "bytes": snapshot.bytes,
        "made_seconds": round(made, 1),
        "repeat": repeat,
        "pages": [asdict(one) for one in measures],
        "idle_mb": round(idle / 1e6),
        "peak_mb": round(peak / 1e6),
    }
    if json_:
        print(json.dumps(document))
    else:
        _print(document, measures)


@contextlib.contextmanager
def _place(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="winnow-bench-") as made:
        yield Path(made)


def dataset(store: Store, rows: int, shards: int) -> Snapshot:
    """A sealed artifact of so many rows; one that a run before this made is taken as it is."""
    if shards > rows:
        raise Problem(f"{shards:,} shards of {rows:,} rows; expected at least one row for each")
    recipe = Recipe("c4", 1, {"min_sentences": MIN_SENTENCES, "rows": rows, "shards": shards}, {})
    path = f"c4/{recipe.key}"
    bounds = [rows * number // shards for number in range(shards + 1)]
    there = store.sizes(f"{path}/snapshots")
    if there:
        return load(store, "c4", recipe.key, next(iter(there)).removesuffix(".json"))
    store.write(f"{path}/recipe.json", json.dumps(recipe.document()).encode())
    files = []
    for number in track(range(shards), f"making {rows:,} rows", console=Console(stderr=True), transient=True):
        name = part_name("bench", number, [str(number)])
        frame = _rows(bounds[number], bounds[number + 1], last=number == shards - 1)
        files.append(write_shard(store, path, name, frame, COLUMNS, name))
    snapshot = Snapshot.of("c4", recipe.key, files)
    record = RunRecord("bench", {"rows": rows, "shards": shards})
    snapshot.seal(store)
    record.add("c4", snapshot, {}, False, 0.0)
    record.finish(store, "completed")
    return snapshot


def _rows(begin: int, end: int, last: bool) -> pl.DataFrame:
    generator = np.random.default_rng(begin)
    count = end - begin
    sentences = generator.poisson(11, count)
    dropped = sentences < MIN_SENTENCES
    texts = _texts(generator, begin, end)
    if last:
        texts[-1] += f" {NEEDLE}"
    numbers = range(begin, end)
    hosts = generator.zipf(1.3, count) % 90_000
    short = pl.Series(dropped)
    return pl.DataFrame(
        {
            "id": [f"<urn:uuid:00000000-0000-4000-8000-{number:012x}>" for number in numbers],
            "url": [f"https://host{host}.example/{number}/page.html" for host, number in zip(hosts, numbers, strict=True)],
            "date": [f"2026-0{1 + day // 28}-{1 + day % 28:02}T00:00:00Z" for day in generator.integers(0, 252, count)],
            "language": pl.repeat("en", count, eager=True),
            "language_score": 0.65 + 0.35 * generator.beta(5, 1, count),
            "text": texts,
            "word_count": generator.lognormal(4.5, 1, count).astype(np.int64),
            "sentences": sentences.astype(np.int64),
            "mean_word_length": generator.normal(4.7, 0.4, count),
        }
    ).with_columns(
        reason=pl.when(short).then(pl.lit("too_few_sentences")),
        reason_value=pl.when(short).then(pl.col("sentences").cast(pl.Float64)),
        reason_threshold=pl.when(short).then(pl.lit(float(MIN_SENTENCES))),
        reason_detail=pl.lit(None, pl.String),
    )


def _texts(generator: np.random.Generator, begin: int, end: int) -> list[str]:
    """Made-up words in Zipf's proportions, so that text compresses and is searched as real text is."""
    letters = np.array(list("etaoinshrdlucmfw"))
    words = ["".join(generator.choice(letters, length)) for length in generator.integers(2, 9, 4_000)]
    pool = [" ".join(words[rank % len(words)] for rank in generator.zipf(1.25, 110)) for _ in range(2_000)]
    return [
        f"{pool[place]} {number}."
        for place, number in zip(generator.integers(0, len(pool), end - begin), range(begin, end), strict=True)
    ]


@contextlib.contextmanager
def running(store: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The viewer over `store`: its address and its process, which ends with the block. Raises Problem where it does not start."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen([sys.executable, "-m", "storage.viewer", str(store), str(port)], stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(address):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Problem(f"the viewer did not answer at {address} (exit code {process.returncode}); its words are above")
            time.sleep(0.05)
        yield address, psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(address: str) -> bool:
    try:
        with _direct.open(f"{address}/health", timeout=5):
            return True
    except OSError:
        return False


def pages(snapshot: Snapshot) -> dict[str, str]:
    """What is measured, as (name, path); page 1,000, or the middle one of a smaller dataset."""
    rows = f"/{snapshot.reference}"
    middle = min(1_000, (snapshot.rows + 49) // 50 // 2)

    def asked(**query: Any) -> str:
        return f"{rows}?{urlencode(query)}"

    return {
        "first page": rows,
        f"page {middle:,}": asked(page=middle),
        "filter: a reason": asked(column="reason", operator="eq", value="too_few_sentences"),
        "filter: a number, rare": asked(column="word_count", operator="gt", value="5000"),
        "search: a frequent word": asked(search="the"),
        "search: the last row": asked(search=NEEDLE, seconds=60),
        "columns: histograms": f"{rows}/columns",
        "sort: a number": asked(sort="word_count", order="desc"),
        "one row": f"{rows}/row?number={snapshot.rows - 1}",
    }


def measure(address: str, name: str, path: str, repeat: int) -> Measure:
    """Raises Problem where the viewer refuses the page."""
    times: list[float] = []
    size = 0
    for _ in range(1 + repeat):
        begun = time.perf_counter()
        try:
            with _direct.open(address + path, timeout=120) as answer:
                size = len(answer.read())
        except urllib.error.HTTPError as error:
            raise Problem(f"the viewer answered {error.code} to {path}; open it in a browser to read why") from None
        times.append(1000 * (time.perf_counter() - begun))
    return Measure(name, round(times[0], 1), round(statistics.median(times[1:]), 1), round(size / 1000, 1))


def _peak(process: psutil.Process) -> int:
    """Bytes at the highest; where the system does not say, those of now."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    resident: int = process.memory_info().rss
    return resident


def _print(document: dict[str, Any], measures: list[Measure]) -> None:
    out = console()
    out.print(
        f"{document['rows']:,} rows in {document['shards']} shards, {document['bytes'] / 1e6:,.0f} MB, made in {document['made_seconds']} s"
    )
    table = Table("page", box=None, header_style="bold", pad_edge=False)
    for name in ("first, ms", f"median of {document['repeat']}, ms", "kB"):
        table.add_column(name, justify="right")
    for one in measures:
        table.add_row(one.name, f"{one.first_ms:,.0f}", f"{one.median_ms:,.0f}", f"{one.kilobytes:,.0f}")
    out.print(table)
    out.print(f"memory of the viewer: {document['peak_mb']} MB at most, {document['idle_mb']} MB before the first page")
