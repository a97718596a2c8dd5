import platform
import subprocess
import sys
from pathlib import Path

import pytest

FAULTS = """
import resource
from models.transformer.allocation import freed_memory_kept
{call}
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        bytearray(16 * 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


def faults(call: str) -> int:
    """Pages asked of the kernel for twenty blocks of 16 MB, one after the other, in a process of its own."""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", FAULTS.format(call=call)], cwd=root, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_freed_memory_is_used_again_without_asking_the_kernel() -> None:
    assert faults("kept = freed_memory_kept(); kept.__enter__()") < 100
    assert (
        faults("import ctypes; ctypes.CDLL(None).mallopt(-3, 2**20)") > 10_000
    )  # blocks above 1 MB are given back: what is avoided


AFTER = """
import resource
from pathlib import Path
from models.transformer.allocation import freed_memory_kept
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
before = resident()
with freed_memory_kept():
    blocks = [b"x" * 2**20 for _ in range(300)]
    del blocks
    inside = resident() - before
print(inside, resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_afterwards_what_is_free_goes_back_to_the_kernel() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AFTER], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    )
    inside, after = map(int, done.stdout.split())
    assert inside > 250 * 2**20
    assert after < 50 * 2**20
