"""`python -m storage.viewer`: answers on loopback, ends when it is told to, and when the process that started it is gone."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from storage.snapshot import Snapshot

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answer(port: int, path: str) -> str:
    deadline = time.monotonic() + 60
    while True:
        try:
            with DIRECT.open(f"http://127.0.0.1:{port}{path}", timeout=60) as response:
                return str(response.read().decode())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@contextlib.contextmanager
def started(*command: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, *command], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_it_answers_and_ends_on_sigterm(root: Path, made: dict[str, Snapshot]) -> None:
    port = free_port()
    with started("-m", "storage.viewer", str(root), str(port), "http://127.0.0.1:4200", str(os.getpid())) as process:
        assert answer(port, "/health") == "ok\n"
        assert 'href="http://127.0.0.1:4200"' in answer(port, "/")
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        assert process.returncode in (0, -signal.SIGTERM)
        assert process.stderr
        assert "Traceback" not in process.stderr.read()


def test_it_ends_with_the_process_that_started_it(root: Path, made: dict[str, Snapshot]) -> None:
    port = free_port()
    start = (
        "import os, subprocess, sys, time\n"
        "one = subprocess.Popen([sys.executable, '-m', 'storage.viewer', *sys.argv[1:], '', str(os.getpid())])\n"
        "print(one.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with started("-c", start, str(root), str(port)) as parent:
        assert parent.stdout
        viewer = psutil.Process(int(parent.stdout.readline()))
        assert answer(port, "/health") == "ok\n"
        parent.kill()
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.wait_procs([viewer], timeout=60)
        assert not viewer.is_running() or viewer.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    "arguments", [[], ["./store"], ["./store", "port"], ["./store", "1", "", "x"], ["./store", "1", "ftp://x"]]
)
def test_wrong_arguments_are_one_line(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "storage.viewer", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("winnow: ")
    assert "Traceback" not in done.stderr
