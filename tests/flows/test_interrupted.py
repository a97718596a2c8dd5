"""Runs that were killed, failed or cancelled, and what a retry in the Prefect UI makes of them; a nightly run over a bucket that grows."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from storage.artifact import resolve
from storage.runs import records
from storage.store import Store
from tests.flows.test_up import ROOT, Up, started, until

pytestmark = pytest.mark.slow
BIG = {"pages": 2500, "files": 8}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, bucket: dict[str, str]) -> Iterator[Up]:
    """Its nightly run reads a bucket."""
    with started(tmp_path_factory.mktemp("up"), "s3://nightly/crawl/", **bucket) as running:
        yield running


def retry(up: Up, run: str) -> dict[str, Any]:
    """What the button of the UI sends; the run's end."""
    state = {"type": "SCHEDULED", "name": "AwaitingRetry", "message": "Retry from the UI"}
    assert up.ask(f"flow_runs/{run}/set_state", {"state": state, "force": False})["status"] == "ACCEPT"
    return up.end(run, 240)


def states(up: Up, run: str) -> set[tuple[str, str]]:
    """Of the tasks of all attempts."""
    found = up.ask("task_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
    return {(task["name"], task["state_name"]) for task in found}


def processes(up: Up, word: str) -> list[psutil.Process]:
    return [one for one in psutil.Process(up.process.pid).children(recursive=True) if word in " ".join(one.cmdline())]


def wait_for_shards(store: Path) -> None:
    until(lambda: list(store.glob("records/*/*.parquet")), 120)


def test_a_command_that_was_killed_is_known_to_be_dead_and_goes_on_when_run_again(up: Up, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}

    def demo() -> "subprocess.Popen[str]":
        arguments = [
            "run",
            "demo",
            "--set",
            "until=corpus",
            "--set",
            f"simulate={json.dumps(BIG)}",
            "--store",
            str(tmp_path),
            "--json",
        ]
        return subprocess.Popen(
            [sys.executable, "-m", "flows", *arguments],
            cwd=up.folder,  # where it finds `winnow up`
            env=environment | {"PYTHONPATH": str(ROOT)},
            text=True,
            stdout=subprocess.PIPE,
        )

    first = demo()
    wait_for_shards(tmp_path)
    first.kill()
    first.communicate()
    [run] = up.ask("flow_runs/filter", {"flow_runs": {"deployment_id": {"is_null_": True}}})
    assert run["state_type"] == "RUNNING"
    crashed = up.end(run["id"], 240)  # three missed heartbeats are 90 s, and Prefect looks every so often
    assert crashed["state_type"] == "CRASHED"
    assert crashed["state"]["message"] == "its process is gone; run it again, it goes on where it stopped"
    output, _ = demo().communicate(timeout=240)
    artifacts = json.loads(output.splitlines()[-1])["artifacts"]
    assert artifacts["simulate"]["cached"]
    assert not artifacts["corpus"]["cached"]


def test_a_run_whose_process_was_killed_crashes_at_once_and_can_be_retried(up: Up, tmp_path: Path) -> None:
    run = up.start("demo", store=str(tmp_path), until="corpus", simulate=BIG)
    wait_for_shards(tmp_path)
    [process] = processes(up, "prefect")
    process.send_signal(signal.SIGKILL)
    assert up.end(run, 30)["state_type"] == "CRASHED"
    assert retry(up, run)["state_type"] == "COMPLETED"
    until(lambda: states(up, run) >= {("simulate", "Cached"), ("corpus", "Completed")})
    artifacts = {one["key"] for one in up.ask("artifacts/filter", {"flow_runs": {"id": {"any_": [run]}}})}
    assert artifacts >= {"funnel", "funnel-table", "report", "progress-extract"}


def test_a_cancelled_run_can_be_retried(up: Up, tmp_path: Path) -> None:
    run = up.start("demo", store=str(tmp_path), until="corpus", simulate=BIG)
    wait_for_shards(tmp_path)
    up.ask(f"flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})
    assert up.end(run, 60)["state_type"] == "CANCELLED"
    assert retry(up, run)["state_type"] == "COMPLETED"
    until(lambda: states(up, run) >= {("simulate", "Cached"), ("corpus", "Completed")})


def test_a_run_that_found_no_crawl_can_be_retried_once_it_is_there(up: Up, crawl: Path, lists: Path, tmp_path: Path) -> None:
    late = tmp_path / "late.warc.gz"
    run = up.start("corpus", sources=[str(late)], lists=str(lists), store=str(tmp_path / "store"))
    failed = up.end(run)
    assert failed["state_type"] == "FAILED"
    assert f"{late} does not exist" in failed["state"]["message"]
    late.write_bytes(next(crawl.glob("*.warc.gz")).read_bytes())
    assert retry(up, run)["state_type"] == "COMPLETED"
    assert [record.state for record in records(Store(str(tmp_path / "store")))] == ["completed", "failed"]


def test_a_nightly_run_over_a_bucket_computes_the_shards_of_a_new_object_only(
    up: Up, crawl: Path, lists: Path, bucket: dict[str, str]
) -> None:
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=bucket["AWS_ENDPOINT_URL"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="nightly")
    store = Store(str(up.folder / "store"))

    def night(file: Path) -> set[str]:
        """The shards of texts after a run that finds this new object."""
        client.upload_file(str(file), "nightly", f"crawl/{file.name}")
        assert up.end(up.start("nightly", lists=str(lists)))["state_type"] == "COMPLETED"
        return {shard.name for shard in resolve(store, "extract").files}

    first, second, _ = sorted(crawl.glob("*.warc.gz"))
    before, after = night(first), night(second)
    assert before < after
    assert len(after) == len(before) + 1
