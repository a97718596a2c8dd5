"""The viewer as a process, on loopback: `python -m storage.viewer STORE PORT [PREFECT_URL] [PARENT_PID]`.

`/health` answers once it is ready. SIGTERM and Ctrl-C end it after the pages at work; with PARENT_PID it also ends when that process does.
"""

import os
import signal
import sys
import threading
import time

import uvicorn

from storage.problem import Problem
from storage.viewer.app import create_app

SECONDS = 5  # for pages at work when it is told to end


def main(arguments: list[str]) -> None:
    """Raises Problem for arguments that cannot be."""
    if not 2 <= len(arguments) <= 4 or not arguments[1].isdigit() or not all(text.isdigit() for text in arguments[3:]):
        raise Problem(f"found {' '.join(arguments)!r}; expected: python -m storage.viewer STORE PORT [PREFECT_URL] [PARENT_PID]")
    store, port, prefect, parent = (*arguments, "", "")[:4]
    if parent:
        threading.Thread(target=_follow, args=(int(parent),), daemon=True).start()
    app = create_app(store, prefect=prefect or None)
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", timeout_graceful_shutdown=SECONDS)


def _follow(parent: int) -> None:
    """End with the process that started this one, even when that was killed."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Problem as problem:
        print(f"winnow: {problem}", file=sys.stderr)
        sys.exit(2)
