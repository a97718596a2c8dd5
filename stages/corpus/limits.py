"""A bound on the CPU time and the memory that one call may take, in the main thread of a worker on Linux or macOS.

`with limited(seconds, megabytes): ...` stops the call in one of three ways:

| what overruns | how it is stopped | what the caller sees |
|---|---|---|
| CPU time, in Python | ITIMER_PROF, a signal handler raises | `CpuLimitExceeded` |
| CPU time, in C that never returns to Python | soft RLIMIT_CPU, two seconds later | the worker dies of SIGXCPU |
| memory | soft RLIMIT_AS: allocations fail | `MemoryError`, the library's own error, or the worker dies |

CPU time, never wall time, so a busy machine changes nothing. All of it is a backstop: whoever runs workers turns a death into a row.
Everything is restored on exit, and memory that the call left free in the heap goes back to the system. What is free in the heap on
entry counts towards the bound, so that it does not depend on what ran before. In a thread other than the main one nothing is
bounded, for signals and limits belong to the process; without /proc (macOS) memory is not. Not re-entrant.
"""

from __future__ import annotations

import ctypes
import math
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import FrameType

# Once the limit is reached the signal comes again, for a library may swallow the first exception (a callback from C, a bare except).
_AGAIN = 0.1
_GRACE = 2
_STATM = Path("/proc/self/statm")
_PAGE = resource.getpagesize()
_SLACK = 64 * 2**20  # for stacks and small buffers, and not worth giving back


class CpuLimitExceeded(BaseException):
    """The call took more CPU time than it was given. No `Exception`, so that no `except Exception` in a library swallows it."""


class _MallInfo(ctypes.Structure):
    """`struct mallinfo2` of glibc 2.33."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    ]


@lru_cache(maxsize=1)
def _glibc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallinfo2"):
        return None
    library.mallinfo2.restype = _MallInfo
    return library


def _memory() -> tuple[int, int]:
    """Bytes of this process's address space and of the memory that it really occupies; zeros where the system does not say."""
    if not _STATM.exists():
        return 0, 0
    size, resident = _STATM.read_bytes().split()[:2]
    return int(size) * _PAGE, int(resident) * _PAGE


def _soft(kind: int, wanted: int) -> tuple[int, int]:
    """Set a soft limit no higher than those in force; the old pair of limits."""
    old = resource.getrlimit(kind)
    allowed = [limit for limit in (*old, wanted) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(kind, (min(allowed), old[1]))
    return old


@contextmanager
def limited(seconds: float, megabytes: int) -> Iterator[None]:
    """Bound the body to `seconds` of this process's CPU time and `megabytes` of address space above what it has now."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    over = False

    def stop(signum: int, frame: FrameType | None) -> None:
        if not over:
            raise CpuLimitExceeded(f"more than {seconds:g} s of CPU time")

    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    handler = signal.signal(signal.SIGPROF, stop)
    cpu = _soft(resource.RLIMIT_CPU, math.ceil(used + seconds) + _GRACE)
    memory = resource.getrlimit(resource.RLIMIT_AS)
    library = _glibc()
    size, resident = _memory()
    if size:
        free = library.mallinfo2().fordblks if library else 0
        _soft(resource.RLIMIT_AS, size + max(megabytes * 2**20 - free, _SLACK))
    try:
        try:
            signal.setitimer(signal.ITIMER_PROF, seconds, _AGAIN)
            yield
        finally:
            over = True
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        # To ignore a signal throws away one that is pending. Where other threads compute, the last one may come late, and by default it kills.
        signal.signal(signal.SIGPROF, signal.SIG_IGN)
        signal.signal(signal.SIGPROF, handler)
        resource.setrlimit(resource.RLIMIT_CPU, cpu)
        resource.setrlimit(resource.RLIMIT_AS, memory)
        if library and _memory()[1] - resident > _SLACK:
            library.malloc_trim(0)
