"""`winnow up`: runs started, scheduled, refused and cancelled through the Prefect API, as its UI does it."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from storage.artifact import resolve
from storage.runs import records
from storage.store import Store

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PATIENCE = 90  # seconds: Prefect waits up to 60 for a lock of its SQLite before it answers with 503


@dataclass(frozen=True)
class Up:
    process: subprocess.Popen[str]
    api: str
    viewer: str
    folder: Path

    def ask(self, path: str, body: object = None, method: str = "POST") -> Any:
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(f"{self.api}/{path}", data, {"Content-Type": "application/json"}, method=method)
        for last in (False, False, False, True):
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                    return json.loads(answer.read() or b"null")
            except urllib.error.HTTPError as error:
                if error.code != 503 or last:  # SQLite was locked for so long; the UI asks again, too
                    raise
                time.sleep(1)
        raise AssertionError("unreachable")

    def deployment(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(one for one in self.ask("deployments/filter") if one["name"] == name)
        return found

    def start(self, name: str, **parameters: Any) -> str:
        """As the form does: the deployment's own parameters with these changed."""
        deployment = self.deployment(name)
        chosen = deployment["parameters"]["parameters"] | parameters
        run: str = self.ask(f"deployments/{deployment['id']}/create_flow_run", {"parameters": {"parameters": chosen}})["id"]
        return run

    def end(self, run: str, seconds: float = 120) -> dict[str, Any]:
        return until(lambda: self._ended(run), seconds)

    def _ended(self, run: str) -> dict[str, Any] | None:
        found: dict[str, Any] = self.ask(f"flow_runs/{run}", method="GET")
        return found if found["state_type"] in ("COMPLETED", "FAILED", "CANCELLED", "CRASHED") else None

    def tasks(self, run: str) -> dict[str, str]:
        found = self.ask("task_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
        return {task["name"]: task["state_name"] for task in found}


def until(answer: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := answer()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.2)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def command(folder: Path, prefect_port: int, viewer_port: int, crawl: str = "crawl", **variables: str) -> "subprocess.Popen[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    arguments = ["--store", "store", "--crawl", crawl, "--prefect-port", str(prefect_port), "--viewer-port", str(viewer_port)]
    return subprocess.Popen(
        [sys.executable, "-m", "flows", "up", *arguments],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT)} | variables,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@contextmanager
def started(folder: Path, crawl: str = "crawl", **variables: str) -> Iterator[Up]:
    process = command(folder, free_port(), free_port(), crawl, **variables)
    state = folder / ".winnow/up.json"
    until(lambda: state.exists() or process.poll() is not None, 120)
    assert process.poll() is None, process.stdout.read() if process.stdout else ""
    told = json.loads(state.read_text())
    try:
        yield Up(process, f"{told['prefect']}/api", told["viewer"], folder)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, crawl: Path) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("up")
    (folder / "crawl").mkdir()
    first, *_ = sorted(crawl.glob("*.warc.gz"))
    shutil.copy2(first, folder / "crawl")
    with started(folder) as running:
        yield running


def test_every_flow_is_a_deployment_with_a_form_and_paused_schedules(up: Up) -> None:
    assert {one["name"] for one in up.ask("deployments/filter")} == {
        "corpus",
        "nightly",
        "tokenizer",
        "pretrain",
        "posttrain",
        "align",
        "release",
        "ablate",
        "extractor",
        "demo",
        "weekly",
    }
    schema = up.deployment("corpus")["parameter_openapi_schema"]["definitions"]
    assert schema["CorpusParameters"]["properties"]["engine"]["enum"] == ["local", "ray"]
    for name, section in schema.items():
        for field, form in section.get("properties", {}).items():
            assert form.get("description") or "$ref" in form, f"{name}.{field} has no description"
    assert schema["LanguageConfig"]["properties"]["min_score"]["maximum"] == 1
    for name in ("nightly", "weekly"):
        assert [schedule["active"] for schedule in up.deployment(name)["schedules"]] == [False]
        assert up.deployment(name)["global_concurrency_limit"]["limit"] == 1


def test_a_run_from_the_form_completes_and_a_second_one_is_cached(up: Up, lists: Path) -> None:
    run = up.start("corpus", lists=str(lists))
    done = up.end(run)
    assert (done["state_type"], done["name"]) == ("COMPLETED", f"corpus of {up.folder}/crawl")
    until(lambda: up.tasks(run).get("corpus") == "Completed")
    again = up.start("corpus", lists=str(lists))
    assert up.end(again)["state_type"] == "COMPLETED"
    until(lambda: set(up.tasks(again).values()) == {"Cached"})  # Prefect writes the states of tasks down a moment later
    artifacts = up.ask("artifacts/filter", {"flow_runs": {"id": {"any_": [again]}}})
    [funnel] = [one["data"] for one in artifacts if one["key"] == "funnel"]
    assert f"]({up.viewer}/c4/" in funnel


def test_a_wrong_value_is_refused_with_the_field_named(up: Up) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        up.start("corpus", c4={"min_sentences": "many"})
    assert b"min_sentences" in refused.value.read()


def test_a_schedule_computes_the_shards_of_a_new_file_only(up: Up, crawl: Path, lists: Path) -> None:
    up.end(up.start("corpus", lists=str(lists)))
    store = Store(str(up.folder / "store"))
    before = resolve(store, "extract")
    known = {record.id for record in records(store)}
    shutil.copy2(sorted(crawl.glob("*.warc.gz"))[1], up.folder / "crawl")
    nightly = up.deployment("nightly")
    [schedule] = nightly["schedules"]
    # What the form of a schedule saves: nothing of the store, and sections that nobody has opened.
    saved = {"sources": nightly["parameters"]["parameters"]["sources"], "lists": str(lists), "c4": {"__prefect_kind": "json"}}
    soon = {"schedule": {"interval": 15.0}, "active": True, "parameters": {"parameters": saved}}
    up.ask(f"deployments/{nightly['id']}/schedules/{schedule['id']}", soon, "PATCH")
    try:
        fired = until(lambda: [one for one in records(store) if one.id not in known and one.state == "completed"], 120)
    finally:
        up.ask(f"deployments/{nightly['id']}/schedules/{schedule['id']}", {"active": False}, "PATCH")
    after = resolve(store, fired[0].artifacts["extract"].reference)
    assert {file.name for file in before.files} < {file.name for file in after.files}
    assert len(after.files) == len(before.files) + 1
    with urllib.request.urlopen(f"{up.viewer}/{after.reference}") as page:
        assert after.id in page.read().decode()


def test_a_cancelled_run_stops_its_workers_and_goes_on_when_started_again(up: Up, tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    run = up.start("demo", store=store, until="corpus", simulate={"pages": 6000})
    until(lambda: list(tmp_path.glob("store/*/*/*.parquet")), 120)
    up.ask(f"flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})
    assert up.end(run)["state_type"] == "CANCELLED"

    def workers() -> list[psutil.Process]:
        below = psutil.Process(up.process.pid).children(recursive=True)
        return [one for one in below if "flows.engines.child" in " ".join(one.cmdline())]

    until(lambda: not workers())
    [record] = records(Store(store))
    assert record.state in ("cancelled", "running")
    again = up.start("demo", store=store, until="corpus", simulate={"pages": 6000})
    assert up.end(again, 200)["state_type"] == "COMPLETED"
    until(lambda: "Cached" in up.tasks(again).values())


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = command(tmp_path, port, free_port())
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"port {port} for Prefect cannot be had" in output


@pytest.mark.parametrize("order", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_stop_everything_and_the_runs_say_so(order: signal.Signals, tmp_path: Path) -> None:
    with started(tmp_path, PREFECT_RUNNER_POLL_FREQUENCY="2") as up:
        run = up.start("demo", until="corpus", simulate={"pages": 6000})
        until(lambda: list(tmp_path.glob("store/*/*/*.parquet")), 120)
        below = psutil.Process(up.process.pid).children(recursive=True)
        assert {"flows.server", "flows.served", "flows.viewer", "prefect.engine", "flows.engines.child"} <= {
            word for one in below for word in one.cmdline()
        }
        up.process.send_signal(order)
        said, _ = up.process.communicate(timeout=120)
        assert up.process.returncode == 130
        assert psutil.wait_procs(below, timeout=60)[1] == []
        assert not (tmp_path / ".winnow/up.json").exists()
        assert "Warning" not in said
    [record] = records(Store(str(tmp_path / "store")))
    assert record.state == "cancelled"
    with sqlite3.connect(tmp_path / ".winnow/prefect/prefect.db") as database:
        assert database.execute("select state_type from flow_run where id = ?", [run]).fetchone() == ("CRASHED",)


def test_runs_are_ended_whichever_end_by_themselves_or_begin_meanwhile() -> None:
    script = """
import subprocess, threading
import psutil
from flows.served import end_runs

def start(words):
    one = subprocess.Popen(["sh", "-c", words], stdout=subprocess.PIPE)
    one.stdout.readline()  # it runs
    return one

quick = start("echo; exec sleep 600")
slow = start("trap 'sleep 2; exit' TERM; echo; while :; do sleep 0.1; done")
begun = []
threading.Thread(target=lambda: (quick.wait(), begun.append(start("echo; exec sleep 600")))).start()
terminate = psutil.Process.terminate

def too_late(run):
    if run.pid == quick.pid:
        quick.kill()
        quick.wait()
    terminate(run)

psutil.Process.terminate = too_late
end_runs()
print(len(begun), psutil.Process().children(recursive=True))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "1 []\n"


def schedules(up: Up, name: str) -> list[tuple[Any, bool, Any]]:
    found = [(one["schedule"].get("cron"), one["active"], one["parameters"]) for one in up.deployment(name)["schedules"]]
    return sorted(found, key=str)


def test_schedules_are_as_they_were_left_when_it_starts_again(tmp_path: Path) -> None:
    names = ("nightly", "weekly", "release", "demo")
    with started(tmp_path) as up:
        nightly, weekly, release = (up.deployment(name) for name in names[:3])
        up.ask(f"deployments/{weekly['id']}/schedules/{weekly['schedules'][0]['id']}", {"active": True}, "PATCH")
        cron = {"schedule": {"cron": "30 3 * * *", "timezone": "Europe/Berlin"}, "parameters": {"parameters": {"files": 2}}}
        up.ask(f"deployments/{nightly['id']}/schedules/{nightly['schedules'][0]['id']}", cron, "PATCH")
        up.ask(f"deployments/{release['id']}/schedules", [{"schedule": {"cron": "0 6 * * 1"}, "active": True}])
        left = [schedules(up, name) for name in names]
        assert left == [
            [("30 3 * * *", False, cron["parameters"])],
            [("0 4 * * 0", True, {})],
            [("0 6 * * 1", True, {})],
            [],
        ]
        registered = up.deployment("weekly")["updated"]
        up.process.send_signal(signal.SIGINT)
        up.process.wait(timeout=120)
    with started(tmp_path) as up:
        until(lambda: up.deployment("weekly")["updated"] != registered)  # the last one
        assert [schedules(up, name) for name in names] == left
