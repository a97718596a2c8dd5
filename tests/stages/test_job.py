"""A job is a process of its own: its threads, its errors, its death and that of its parent."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from stages.compute import Compute, compute_of
from stages.job import JobFailed, run_job
from storage.problem import Problem
from tests.stages.jobs import JobConfig


def job(name: str, out: Path, text: str = "", inputs: Any = None, rank: int = 0, **compute: Any) -> dict[str, Any]:
    return run_job(f"tests.stages.jobs:{name}", inputs or {}, out, JobConfig(text=text, rank=rank), Compute(**compute))


def until(true: Callable[[], Any], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    return bool(true())


def test_a_job_returns_its_figures_and_prints_nothing_here(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    given = {"name": {"a": "b"}}
    found = job("report", tmp_path, "a text", given, threads=3)
    assert found["inputs"] == given
    assert found["text"] == (tmp_path / "made").read_text() == "a text"
    assert capfd.readouterr() == ("", "")
    log = (tmp_path / ".job/log").read_text()
    assert "said on standard output" in log
    assert "said on standard error" in log


def test_a_job_has_its_own_number_of_threads_whatever_its_parent_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = job("report", tmp_path, threads=3)
    assert (found["OMP_NUM_THREADS"], found["RAYON_NUM_THREADS"], found["OMP_WAIT_POLICY"]) == ("3", "3", "PASSIVE")
    assert Compute(processes=2).threads_each <= Compute().threads_each <= (os.cpu_count() or 1)
    assert Compute(processes=1000).threads_each == 1


@pytest.mark.parametrize("kind", ["problem", "unusable"])
def test_what_a_job_says_to_a_person_comes_back_as_a_problem_with_its_text_alone(tmp_path: Path, kind: str) -> None:
    with pytest.raises(Problem) as raised:
        job(kind, tmp_path, "found this, expected that")
    assert str(raised.value) == "found this, expected that"
    assert job("report", tmp_path)["text"] == ""  # what one job left does not speak for the next


def test_a_bug_comes_back_with_the_end_of_the_log(tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match=r"(?s)exit code 1.*KeyError: 'no such thing'"):
        job("bug", tmp_path, "no such thing")


@pytest.mark.parametrize(("kind", "what"), [("killed", "SIGKILL"), ("too_large", "memory ran out: .*allocate")])
def test_memory_that_ran_out_names_the_setting_to_lower(tmp_path: Path, kind: str, what: str) -> None:
    with pytest.raises(Problem, match=rf"{what}.*Lower compute.micro_rows \(now 8\), then the length of the rows.*preset"):
        job(kind, tmp_path, micro_rows=8)


def test_a_job_dies_with_its_parent_and_the_next_one_waits_for_that(tmp_path: Path) -> None:
    code = "import sys; sys.path.insert(0, '.'); from tests.stages.test_job import job; from pathlib import Path; job('slow', Path(sys.argv[1]), '600')"
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.DEVNULL)
    assert until((tmp_path / "times").exists)
    child = int((tmp_path / ".job/pid-0").read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    job("slow", tmp_path, "0")
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
    assert (tmp_path / "times").read_text() == "begin 600\nbegin 0\nend 0\n"


def test_two_jobs_in_one_folder_take_turns(tmp_path: Path) -> None:
    first = threading.Thread(target=job, args=("slow", tmp_path, "2"))
    first.start()
    assert until((tmp_path / "times").exists)
    job("slow", tmp_path, "0")
    first.join()
    assert (tmp_path / "times").read_text() == "begin 2\nend 2\nbegin 0\nend 0\n"


@pytest.mark.slow
def test_torchrun_starts_several_processes_and_one_that_ends_ends_all(tmp_path: Path) -> None:
    assert job("add", tmp_path, processes=2, threads=1) == {"sum": 3.0, "gathered": [0, 1]}
    for rank in (0, 1):
        with pytest.raises(Problem, match=r"^this rank cannot$"):
            job("one_of_two", tmp_path, "this rank cannot", rank=rank, processes=2, threads=1)
        with pytest.raises(Problem, match=r"killed \(SIGKILL\).*Lower compute.micro_rows"):
            job("one_of_two", tmp_path, "kill", rank=rank, processes=2, threads=1)
        pids = [int((tmp_path / f".job/pid-{one}").read_text()) for one in (0, 1)]
        assert until(lambda pids=pids: not any(map(psutil.pid_exists, pids)), 10)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"threads": "many"}, "compute.threads is 'many'"),
        ({"device": "tpu"}, "compute.device is 'tpu'"),
        ({"micro_batch": "8"}, "compute.micro_batch is '8'.*expected one of device, threads"),
        ({"processes": "0"}, "compute.processes is '0'"),
    ],
)
def test_a_setting_that_does_not_exist_is_named(given: dict[str, str], said: str) -> None:
    with pytest.raises(Problem, match=said):
        compute_of(given)


def test_settings_come_as_text() -> None:
    assert compute_of({"compile": "true", "threads": "2", "checkpoint_seconds": "0.5"}) == Compute(
        compile=True, threads=2, checkpoint_seconds=0.5
    )
    assert json.loads(Compute().model_dump_json())["device"] == "auto"
