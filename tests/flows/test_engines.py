"""Workers are killed, tasks fail, disks hiccup: the engine says so, and nothing else is lost."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from flows.engines.attempt import attempt
from flows.engines.engine import Died, Failed
from flows.engines.local import LocalEngine
from tests.flows import toy


def test_results_come_back_for_every_task(engine: LocalEngine) -> None:
    assert dict(engine.map(toy.double, list(range(20)))) == {index: 2 * index for index in range(20)}


def test_a_dead_worker_costs_one_task_a_second_try(engine: LocalEngine, tmp_path: Path) -> None:
    tasks = [str(tmp_path / "tried"), "", ""]
    results = dict(engine.map(toy.die_the_first_time, tasks))
    assert results == {0: "alive", 1: "alive", 2: "alive"}


def test_a_task_that_always_kills_is_reported_with_its_signal(engine: LocalEngine) -> None:
    results = dict(engine.map(toy.die_if_odd, [0, 1, 2]))
    assert (results[0], results[2]) == (0, 2)
    assert results[1] == Died(signal.SIGSEGV, "killed by SIGSEGV")


def test_an_error_is_carried_home_with_its_traceback(engine: LocalEngine) -> None:
    [(_, failed)] = engine.map(toy.divide, [0])
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, ZeroDivisionError)
    assert "toy.py" in failed.traceback


def test_leaving_early_stops_the_workers_that_are_busy() -> None:
    pool = LocalEngine(2)
    results = pool.map(toy.sleep, [0.0, 60.0])
    next(results)
    busy = [worker.process.pid for worker in pool._all]
    results.close()
    pool.close()
    assert busy
    assert not any(psutil.pid_exists(pid) for pid in busy)


def test_workers_end_when_their_parent_is_killed() -> None:
    script = "from flows.engines.local import LocalEngine; from tests.flows import toy; list(LocalEngine(2).map(toy.sleep, [60.0, 60.0]))"
    parent = subprocess.Popen([sys.executable, "-c", script])
    process = psutil.Process(parent.pid)
    deadline = time.monotonic() + 60
    while len(children := process.children()) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(children) == 2
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (OSError(errno.EIO, "input/output error"), 3),
        (ConnectionResetError("by peer"), 3),
        (TimeoutError("slow"), 3),
        (OSError(errno.ENOSPC, "no space left"), 1),
        (FileNotFoundError("gone"), 1),
        (ValueError("a bug"), 1),
    ],
)
def test_only_faults_that_pass_are_tried_again(error: Exception, tries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.engines.attempt.PAUSES", (0.0, 0.0, 0.0))
    seen = []

    def fails_twice(task: int) -> int:
        seen.append(task)
        if len(seen) < 3:
            raise error
        return task

    result = attempt(fails_twice, 7)
    assert len(seen) == tries
    assert (result == 7) == (tries == 3)


def test_an_error_that_cannot_travel_arrives_as_its_text() -> None:
    class Local(Exception):
        pass

    def fails(task: object) -> None:
        raise Local("here only")

    failed = attempt(fails, None)
    assert isinstance(failed, Failed)
    assert str(failed.error) == "Local: here only"


def test_a_worker_may_not_be_reached_by_ctrl_c(engine: LocalEngine) -> None:
    [(_, pid)] = engine.map(toy.own_pid, [None])
    os.kill(pid, signal.SIGINT)
    assert dict(engine.map(toy.double, [1])) == {0: 2}
    assert psutil.pid_exists(pid)
