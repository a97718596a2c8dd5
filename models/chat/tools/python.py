"""The tool `python`: expressions, evaluated in a process of their own that stays warm and is replaced when it dies.

In: the text of an expression (models/chat/tools/expression.py says what is one). Out: its value as text, or "error: " and why.
A call costs well under a millisecond. Bounds on sizes keep every evaluation short; limits on memory, CPU time and elapsed time stand
behind them (models/chat/tools/worker.py).
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

from models.chat.tools.bounds import Refused
from models.chat.tools.tool import ERROR, LONGEST_ARGUMENT, Tool

WALL_SECONDS = 20.0
"""Elapsed time that a call may take: far more than the CPU time it is allowed, for machines that are busy."""

START = "import sys; sys.path.insert(0, sys.argv[1]); from models.chat.tools.worker import serve; serve()"
DESCRIPTION = "computes, as in 2 * 3, count('owl', 'w') or spell('owl')"


class Died(Exception):
    """The process ended without an answer."""


class Python:
    """A warm process that evaluates expressions; it starts at the first call. For use with `with`, or `close` it. Threads may share one."""

    def __init__(self, wall_seconds: float = WALL_SECONDS) -> None:
        self.wall_seconds = wall_seconds
        self.process: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()
        self._lock = threading.Lock()

    def evaluate(self, expression: str) -> str:
        """The value as text; "error: " and why where there is none."""
        if len(expression) > LONGEST_ARGUMENT:  # nothing large is sent
            return f"{ERROR}at most {LONGEST_ARGUMENT:,} characters in an expression are allowed"
        with self._lock:
            for _ in range(2):  # once more where it died: it may have been for another reason
                try:
                    return self._ask(self._running(), expression)
                except Died:
                    self._stop()
                except Refused as error:
                    self._stop()
                    return f"{ERROR}{error}"
        return f"{ERROR}the computation took too much time or memory"

    def close(self) -> None:
        with self._lock:
            self._stop()

    def __enter__(self) -> Python:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._owner != os.getpid():  # after a fork the process answers to the other one
            self._owner, self.process = os.getpid(), None
        if self.process is not None and self.process.poll() is not None:
            self._stop()
        if self.process is None:
            root = str(Path(__file__).parents[3])
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", START, root],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={},
                bufsize=0,
            )
        return self.process

    def _ask(self, process: subprocess.Popen[bytes], expression: str) -> str:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(expression).encode() + b"\n")  # under 16 KB: the pipe takes it whole
        except BrokenPipeError:
            raise Died from None
        end = time.monotonic() + self.wall_seconds
        answer = b""
        while not answer.endswith(b"\n"):
            if not select.select([process.stdout], [], [], max(end - time.monotonic(), 0))[0]:
                raise Refused(f"the computation took more than {self.wall_seconds:g} seconds")
            received = os.read(process.stdout.fileno(), 1 << 16)
            if not received:
                raise Died
            answer += received
        result: str = json.loads(answer)
        return result

    def _stop(self) -> None:
        if self.process is not None and self._owner == os.getpid():
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    pipe.close()
        self.process = None


def python_tool(python: Python) -> Tool:
    """The tool that asks this process."""
    return Tool("python", "expression", DESCRIPTION, python.evaluate)
