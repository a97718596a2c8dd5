"""Memory that a training step frees stays with the process, for the next step to use.

glibc gives large blocks back to the kernel at once, which hands them out again zeroed, page by page: a tenth of a step on a CPU.
Off glibc nothing changes. Source: mallopt(3), malloc_trim(3).
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
LARGEST = 32 * 2**20
"""What glibc allows as the second threshold."""
DEFAULT = 128 * 2**10
"""Both thresholds in a process that set neither."""


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """For the whole process, while the block runs; at its end all that is free goes back to the kernel."""
    try:
        glibc = ctypes.CDLL(None)
        mallopt, trim = glibc.mallopt, glibc.malloc_trim
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        yield
        return
    mallopt(_MMAP_THRESHOLD, LARGEST)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        mallopt(_MMAP_THRESHOLD, DEFAULT)
        mallopt(_TRIM_THRESHOLD, DEFAULT)
        trim(0)
