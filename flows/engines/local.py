"""The local engine: a pool of processes that stay warm (models, lists, token tables) for as long as a flow runs.

Not concurrent.futures: there, one dead worker breaks the pool and nobody knows which task killed it.
"""

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
        self._busy: dict[Connection, tuple[_Worker, int]] = {}

    def map(self, function: Callable[[Any], Any], tasks: Sequence[Any], tries: int = 2) -> Iterator[tuple[int, Any]]:
        waiting = deque(range(len(tasks)))
        deaths = [0] * len(tasks)
        try:
            while waiting or self._busy:
                while waiting and len(self._busy) < self.workers:
                    worker = self._idle.pop() if self._idle else _Worker()
                    index = waiting.popleft()
                    try:
                        worker.connection.send((function, tasks[index]))
                    except (BrokenPipeError, ConnectionResetError):
                        worker.kill()  # it died while idle: no fault of the task
                        waiting.appendleft(index)
                        continue
                    self._busy[worker.connection] = (worker, index)
                for ready in wait(list(self._busy)):
                    assert isinstance(ready, Connection)
                    worker, index = self._busy.pop(ready)
                    try:
                        result = ready.recv()
                    except (EOFError, ConnectionResetError):
                        died = worker.kill()
                        deaths[index] += 1
                        if deaths[index] < tries:
                            waiting.append(index)
                            continue
                        result = died
                    else:
                        self._idle.append(worker)
                    yield index, result
        finally:
            # Left early (an error, Ctrl-C, a cancelled run): workers that are at work have nobody to report to.
            for worker, _ in self._busy.values():
                worker.kill()
            self._busy.clear()

    def close(self) -> None:
        for worker in [*self._idle, *(worker for worker, _ in self._busy.values())]:
            worker.kill()
        self._idle.clear()
        self._busy.clear()


class _Worker:
    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "flows.engines.child", str(theirs.fileno())]
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
