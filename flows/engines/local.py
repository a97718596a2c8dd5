"""The local engine: a pool of processes that stay warm (models, lists, token tables) for as long as a flow runs.

Not concurrent.futures: there, one dead worker breaks the pool and nobody knows which task killed it. Several threads may map at a time;
each then has as many workers as it has tasks, up to `workers`.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from flows.engines.engine import Died

# One thread a worker: the pool is the parallelism, and thread pools inside it would only fight.
THREADS = dict.fromkeys(
    (
        "POLARS_MAX_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "RAYON_NUM_THREADS",
    ),
    "1",
)


class LocalEngine:
    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or os.cpu_count() or 1
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._closed = False

    def map(self, function: Callable[[Any], Any], tasks: Sequence[Any], tries: int = 2) -> Iterator[tuple[int, Any]]:
        waiting = deque(range(len(tasks)))
        deaths = [0] * len(tasks)
        busy: dict[Connection, tuple[_Worker, int]] = {}
        try:
            while waiting or busy:
                while waiting and len(busy) < self.workers:
                    worker = self._worker()
                    index = waiting.popleft()
                    try:
                        worker.connection.send((function, tasks[index]))
                    except (BrokenPipeError, ConnectionResetError):
                        self._fire(worker)  # it died while idle: no fault of the task
                        waiting.appendleft(index)
                        continue
                    busy[worker.connection] = (worker, index)
                for ready in wait(list(busy)):
                    assert isinstance(ready, Connection)
                    worker, index = busy.pop(ready)
                    try:
                        result = ready.recv()
                    except (EOFError, OSError):  # of a socket that `close` closed, too
                        result = self._fire(worker)
                        deaths[index] += 1
                        if deaths[index] < tries:
                            waiting.append(index)
                            continue
                    else:
                        self._idle.append(worker)
                    yield index, result
        finally:
            # Left early (an error, Ctrl-C, a cancelled run): workers that are at work have nobody to report to.
            for worker, _ in busy.values():
                self._fire(worker)

    def close(self) -> None:
        self._closed = True
        for worker in list(self._all):
            self._fire(worker)
        self._idle.clear()

    def _worker(self) -> "_Worker":
        """An idle one or a new one. Raises RuntimeError once the engine is closed: a thread that still maps then has nobody to work for."""
        if self._closed:
            raise RuntimeError("the engine is closed")
        with contextlib.suppress(IndexError):
            return self._idle.pop()
        worker = _Worker()
        self._all.add(worker)
        return worker

    def _fire(self, worker: "_Worker") -> Died:
        self._all.discard(worker)
        return worker.kill()


class _Worker:
    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "flows.engines.child", str(theirs.fileno()), str(os.getpid())]
        self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=os.environ | THREADS, stdin=subprocess.DEVNULL)
        theirs.close()
        self.connection = Connection(ours.detach())

    def kill(self) -> Died:
        """Make sure that it is gone; say what it died of, if it had died before."""
        code = self.process.poll()
        if code is None:
            try:
                code = self.process.wait(timeout=0.2)  # its socket closes a moment before it can be reaped
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.connection.close()
        if code is not None and code < 0:
            return Died(-code, f"killed by {signal.Signals(-code).name}")
        return Died(None, f"exited with {code}")
