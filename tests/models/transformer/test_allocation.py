import platform
import subprocess
import sys
from pathlib import Path

import pytest

FAULTS = """
import resource
from models.transformer.allocation import keep_freed_memory
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
    assert faults("keep_freed_memory()") < 100
    assert (
        faults("import ctypes; ctypes.CDLL(None).mallopt(-3, 2**20)") > 10_000
    )  # blocks above 1 MB are given back: what is avoided
