"""The viewer with the crawl behind it: `python -m flows.viewer STORE [HOST:]PORT [PREFECT_URL] [PARENT_PID]`.

As `python -m storage.viewer`, and pages have their original as source: the store knows where it lies, the stages how to read it.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

from storage.problem import Problem
from storage.store import Store
from storage.viewer.__main__ import start
from storage.viewer.page import Original

SECONDS = 20
AT_ONCE = 4
NEEDED = ("source", "file_path", "id", "url", "offset", "skip", "field", "charset", "reason")
_free = threading.BoundedSemaphore(AT_ONCE)


def original(store: Store, row: Mapping[str, Any], seconds: float = SECONDS) -> Original:
    """The page to which a row of `records` points. Raises Problem, in one line, where it cannot be had."""
    if missing := [name for name in NEEDED[:-1] if name not in row]:
        raise Problem(f"the row that says where the page lies has no {', '.join(missing)}; expected one of the stage `records`")
    if not _free.acquire(blocking=False):
        raise Problem(f"{AT_ONCE} originals are being read, which is the most; ask again in a few seconds")
    try:
        return _read(store, {name: row.get(name) for name in NEEDED}, seconds)
    finally:
        _free.release()


def _read(store: Store, row: dict[str, Any], seconds: float) -> Original:
    asked = json.dumps({"store": store.url, "row": row, "parent": os.getpid()}).encode()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "flows.original"], input=asked, stdout=subprocess.PIPE, timeout=seconds, check=False
        )
        answer = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise Problem(
            f"{row['file_path']} did not give the page within {seconds:g} s: it is far away, or must be unpacked to its end"
        ) from None
    except ValueError:
        raise Problem(
            f"the process that read {row['file_path']} ended with {done.returncode}; the viewer's log says more"
        ) from None
    if "problem" in answer:
        raise Problem(answer["problem"])
    return Original(**answer)


if __name__ == "__main__":
    start(original)
