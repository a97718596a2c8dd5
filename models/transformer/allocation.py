"""Memory that a training step frees stays with the process, for the next step to use.

glibc gives large blocks back to the kernel at once, which hands them out again zeroed, page by page: a tenth of a step on a CPU.
Off glibc, and for blocks above 32 MB (its own bound), nothing changes. Source: mallopt(3).
"""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
LARGEST = 32 * 2**20


def keep_freed_memory() -> None:
    """For the whole process; call it once, at the start of a training job."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return
    mallopt(_MMAP_THRESHOLD, LARGEST)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
