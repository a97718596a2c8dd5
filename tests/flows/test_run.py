"""What a run does when it is stopped, and when its store falters."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from prefect import flow
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.crawl import MEMO, _contents
from flows.engines.local import LocalEngine
from flows.run import Mechanics, Run, open_run
from stages.corpus.sources import discover
from storage.problem import Problem
from storage.runs import records
from storage.shards import sha256
from storage.store import Store
from tests.flows.toy import MEET, MeetConfig, context, numbers

SLOW_RUN = """
import sys
from flows.server import prefect_api, settle_environment
settle_environment()
from prefect import flow
from flows.crawl import MEMO, _contents
from flows.engines.local import LocalEngine
from flows.run import Mechanics, open_run
from tests.flows.toy import SLOW, NoConfig, numbers

@flow
def slow():
    with open_run("slow", {}, Mechanics(store=sys.argv[1], workers=1)) as run:
        docs = run.task("numbers", lambda context: numbers(context, {f"{n}.warc": [n] for n in range(200)}))
        run.stage(SLOW, NoConfig(), docs)

with prefect_api():
    slow()
"""
SLOW_BESIDE = SLOW_RUN.replace("run.stage(SLOW, NoConfig(), docs)", "run.beside(lambda: run.stage(SLOW, NoConfig(), docs))")


def stopped(order: signal.Signals, store: Path, environment: dict[str, str], script: str = SLOW_RUN) -> None:
    """Start a run, send `order` to all its processes as a terminal does, and see it end soon, resumable and without orphans."""
    run = subprocess.Popen(
        [sys.executable, "-c", script, str(store)],
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not list(store.glob("slow/*/*.parquet")) and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert run.poll() is None
    children = psutil.Process(run.pid).children(recursive=True)
    os.killpg(run.pid, order)
    assert run.wait(timeout=60) == -order
    assert psutil.wait_procs(children, timeout=60)[1] == []
    [record] = records(Store(str(store)))
    assert (record.state, list(record.artifacts)) == ("cancelled", ["numbers"])


@pytest.mark.parametrize("order", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_ends_at_once_and_says_so(
    order: signal.Signals, tmp_path: Path, environment: dict[str, str]
) -> None:
    stopped(order, tmp_path, environment)


def test_what_is_done_beside_is_stopped_with_the_run(tmp_path: Path, environment: dict[str, str]) -> None:
    stopped(signal.SIGINT, tmp_path, environment, SLOW_BESIDE)


def run_of(work: Callable[[Run], object], store: Path, api: str) -> None:
    @flow
    def toy() -> None:
        with open_run("toy", {}, Mechanics(store=str(store), workers=1)) as run:
            work(run)

    with temporary_settings({PREFECT_API_URL: api}):
        toy()


def test_steps_beside_run_at_the_same_time_and_are_waited_for(tmp_path: Path, environment: dict[str, str]) -> None:
    one, two = (str(tmp_path / name) for name in ("one", "two"))

    def meet(run: Run) -> None:
        run.beside(lambda: run.stage(MEET, MeetConfig(mine=one, other=two), label="first"))
        run.stage(MEET, MeetConfig(mine=two, other=one), label="second")
        run.beside(lambda: run.stage(MEET, MeetConfig(mine=one, other=one), label="third"))

    run_of(meet, tmp_path / "store", environment["PREFECT_API_URL"])
    [record] = records(Store(str(tmp_path / "store")))
    assert (record.state, sorted(record.artifacts)) == ("completed", ["first", "second", "third"])


def test_a_fault_beside_fails_the_run(tmp_path: Path, environment: dict[str, str]) -> None:
    def fail(run: Run) -> None:
        run.beside(lambda: run.task("numbers", lambda context: numbers(context, {"a.warc": ["no number"]})))

    with pytest.raises(Exception, match="no number"):
        run_of(fail, tmp_path, environment["PREFECT_API_URL"])
    [record] = records(Store(str(tmp_path)))
    assert (record.state, record.artifacts) == ("failed", {})


def test_after_a_fault_beside_no_further_step_begins(tmp_path: Path, environment: dict[str, str]) -> None:
    def fail(run: Run) -> None:
        begun = run.beside(lambda: run.task("first", lambda context: numbers(context, {"a.warc": ["no number"]})))
        with pytest.raises(Exception, match="no number"):
            begun.result()
        run.task("second", lambda context: numbers(context, {"a.warc": [1]}))

    with pytest.raises(Exception, match="no number"):
        run_of(fail, tmp_path, environment["PREFECT_API_URL"])
    [record] = records(Store(str(tmp_path)))
    assert (record.state, record.artifacts) == ("failed", {})


def test_ctrl_c_also_ends_a_run_with_a_private_server_at_once(tmp_path: Path) -> None:
    """A terminal interrupts the server too; a run whose server is gone before it has reported its end tries for minutes."""
    private = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    stopped(signal.SIGINT, tmp_path / "store", private | {"PREFECT_HOME": str(tmp_path / "prefect")})


@pytest.mark.slow
def test_two_private_servers_may_begin_at_once(tmp_path: Path) -> None:
    """Both find no database and would make it."""
    script = "from flows.server import private_server\nwith private_server(): pass"
    commands = [
        subprocess.Popen([sys.executable, "-c", script], env=os.environ | {"PREFECT_HOME": str(tmp_path)}) for _ in range(2)
    ]
    assert [command.wait(timeout=90) for command in commands] == [0, 0]


def run_with_faults(store: str, api: str, error: int, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flow of one stage whose files the parent writes; its next `times` writes fail with `error`."""
    fsync = os.fsync
    left = times

    def failing(descriptor: int) -> None:
        nonlocal left
        if left:
            left -= 1
            raise OSError(error, os.strerror(error))
        fsync(descriptor)

    def make(context: object) -> object:
        monkeypatch.setattr(os, "fsync", failing)
        return numbers(context, {"a.warc": [1, 2]})  # type: ignore[arg-type]

    @flow
    def toy() -> None:
        with open_run("toy", {}, Mechanics(store=store, workers=1)) as run:
            run.task("numbers", make)  # type: ignore[arg-type]

    monkeypatch.setattr("flows.engines.attempt.PAUSES", (0.0, 0.0, 0.0))
    with temporary_settings({PREFECT_API_URL: api}):
        toy()


def test_a_fault_of_the_store_that_passes_is_tried_again(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_with_faults(str(tmp_path), environment["PREFECT_API_URL"], errno.EIO, 3, monkeypatch)
    [record] = records(Store(str(tmp_path)))
    assert (record.state, list(record.artifacts)) == ("completed", ["numbers"])


def test_a_fault_of_the_store_that_lasts_is_one_clear_error(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Problem, match=r"numbers: OSError: .* No space left on device.* check space"):
        run_with_faults(str(tmp_path), environment["PREFECT_API_URL"], errno.ENOSPC, 1_000, monkeypatch)
    record = json.loads(next(tmp_path.glob("runs/*.json")).read_text())
    assert record["state"] == "running"  # nothing could be written, and that did not hide the error


@pytest.mark.parametrize("memo", [b"", b"[]", b'{"a": 1}', b'{"a": [1]}', b"null"])
def test_a_damaged_memo_of_sources_is_no_memo(memo: bytes, tmp_path: Path, engine: LocalEngine) -> None:
    (tmp_path / "a.warc").write_bytes(b"WARC/1.0")
    store = Store(str(tmp_path / "store"))
    store.write(MEMO, memo)
    found = discover([str(tmp_path / "a.warc")])
    assert _contents(context(store, engine), found) == {found[0].url: sha256(b"WARC/1.0")}
