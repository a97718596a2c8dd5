import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from models.chat.tools.python import Python, python_tool
from models.chat.tools.tool import call
from models.chat.tools.worker import CPU_SECONDS, MEMORY


@pytest.fixture(scope="module")
def python() -> Iterator[Python]:
    with Python() as python:
        yield python


def pid(python: Python) -> int:
    assert python.process is not None
    return python.process.pid


def test_calls_are_answered_by_one_process_that_stays(python: Python) -> None:
    assert python.evaluate("1 + 1") == "2"
    first = pid(python)
    assert [python.evaluate(f"{i} * {i}") for i in range(50)] == [str(i * i) for i in range(50)]
    assert python.evaluate("1 / 0") == "error: division by zero"
    assert python.evaluate("'日本' + '\\n' + \"\\U0001F600\"") == "日本\n\U0001f600"
    assert pid(python) == first


def test_a_process_that_was_killed_is_replaced(python: Python) -> None:
    python.evaluate("1")
    first = pid(python)
    os.kill(first, signal.SIGKILL)
    assert python.evaluate("2 + 3") == "5"
    assert pid(python) != first


def test_a_process_that_does_not_answer_is_replaced() -> None:
    with Python(wall_seconds=0.5) as python:
        python.wall_seconds = 60
        python.evaluate("1")
        python.wall_seconds = 0.5
        stopped = pid(python)
        os.kill(stopped, signal.SIGSTOP)
        assert python.evaluate("1 + 1") == "error: the computation took more than 0.5 seconds"
        assert not psutil.pid_exists(stopped)
        python.wall_seconds = 60
        assert python.evaluate("1 + 1") == "2"


def test_a_process_that_dies_at_each_try_gives_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.chat.tools.python.START", "import sys; sys.stdin.readline(); sys.exit(3)")
    with Python() as python:
        assert python.evaluate("1") == "error: the computation took too much time or memory"


def test_the_process_has_limits_and_no_environment(python: Python) -> None:
    python.evaluate("1")
    limits = {
        line[:26].strip(): line[26:].split()[:2] for line in Path(f"/proc/{pid(python)}/limits").read_text().splitlines()[1:]
    }
    assert limits["Max address space"] == [str(MEMORY)] * 2
    assert limits["Max open files"] == ["3", "3"]
    assert limits["Max file size"] == ["0", "0"]
    assert 1 <= int(limits["Max cpu time"][0]) <= CPU_SECONDS + 10
    assert Path(f"/proc/{pid(python)}/environ").read_bytes() == b""


def test_cpu_time_and_memory_are_limited_whatever_is_computed() -> None:
    """The worker's own limits around what the evaluator would never do."""
    root = str(Path(__file__).parents[4])
    start = (
        f"import sys; sys.path.insert(0, {root!r}); from models.chat.tools import worker; worker.limit(); worker.limit_call(); "
    )
    spinning = subprocess.run([sys.executable, "-I", "-S", "-c", start + "exec('while True: pass')"], env={}, timeout=60)
    assert spinning.returncode == -signal.SIGXCPU
    growing = subprocess.run(
        [sys.executable, "-I", "-S", "-c", start + "'a' * (1 << 30)"], env={}, capture_output=True, timeout=60
    )
    assert b"MemoryError" in growing.stderr
    reading = subprocess.run(
        [sys.executable, "-I", "-S", "-c", start + "open('/etc/hosts')"], env={}, capture_output=True, timeout=60
    )
    assert b"Too many open files" in reading.stderr


def test_closing_ends_the_process_and_a_later_call_starts_another() -> None:
    python = Python()
    python.evaluate("1")
    first = pid(python)
    python.close()
    assert not psutil.pid_exists(first)
    assert python.evaluate("2") == "2"
    python.close()
    python.close()


def test_the_process_ends_with_its_parent() -> None:
    root = str(Path(__file__).parents[4])
    program = (
        f"import sys, os, signal; sys.path.insert(0, {root!r}); from models.chat.tools.python import Python; p = Python(); "
        "p.evaluate('1'); print(p.process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    child = int(ended.stdout)
    for _ in range(200):
        if not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.05)
    pytest.fail("the process lives on although its parent is dead")


def test_threads_may_share_it(python: Python) -> None:
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda i: python.evaluate(f"{i} + 1"), range(100))) == [str(i + 1) for i in range(100)]


def test_after_a_fork_each_process_asks_its_own(python: Python) -> None:
    python.evaluate("1")
    mine = pid(python)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = [python.evaluate("20 + 1"), pid(python) != mine]
            python.close()
            os.write(writing, json.dumps(answer).encode())
        finally:
            os._exit(0)
    os.close(writing)
    assert json.loads(os.read(reading, 1000)) == ["21", True]
    os.close(reading)
    os.waitpid(child, 0)
    assert python.evaluate("20 + 2") == "22"
    assert pid(python) == mine


@pytest.mark.parametrize("text", ["1" * 1_000_001, "(" * 100_000, "\U0001f600" * 100_000], ids=["digits", "nesting", "emoji"])
def test_a_large_text_is_refused_without_sending_it(python: Python, text: str) -> None:
    assert python.evaluate(text) == "error: at most 1,000 characters in an expression are allowed"


def test_the_longest_text_of_characters_that_escape_badly_goes_through(python: Python) -> None:
    assert python.evaluate('"' + "\U0001f600" * 998 + '"').startswith("\U0001f600" * 900)


def test_as_a_tool_it_gives_its_result_within_the_length(python: Python) -> None:
    tool = python_tool(python)
    assert tool.name == "python"
    assert call(tool, "spell('owl')") == "o-w-l"
    assert call(tool, "10**900", longest=60).endswith(" characters)")
    assert len(call(tool, "10**900", longest=60)) == 60
