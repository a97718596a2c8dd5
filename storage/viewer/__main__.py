"""The viewer as a process: `python -m storage.viewer STORE [HOST:]PORT [PREFECT_URL] [PARENT_PID]`.

It listens on loopback unless HOST says otherwise, which needs a token in the environment as WINNOW_VIEWER_TOKEN (every user of a machine
can read the arguments of its processes). `/health` answers once it is ready. SIGTERM and Ctrl-C end it after the pages at work; with
PARENT_PID it also ends when that process does.
"""

import os
import signal
import sys
import threading
import time

import uvicorn

from storage.problem import Problem
from storage.viewer.app import create_app
from storage.viewer.guard import LOOPBACK
from storage.viewer.page import Reader

SECONDS = 5  # for pages at work when it is told to end


def main(arguments: list[str], token: str | None, original: Reader | None) -> None:
    """Raises Problem for arguments that cannot be."""
    store, listen, prefect, parent = (*arguments, "", "", "", "")[:4]
    host, _, port = listen.rpartition(":")
    if not 2 <= len(arguments) <= 4 or not port.isdigit() or not (parent or "0").isdigit():
        raise Problem(f"found {' '.join(arguments)!r}; expected STORE [HOST:]PORT [PREFECT_URL] [PARENT_PID]")
    if token is None and host not in ("", *LOOPBACK):
        raise Problem(f"{host} can be reached from elsewhere: give a long random token in WINNOW_VIEWER_TOKEN, or {port} alone")
    if parent:
        threading.Thread(target=_follow, args=(int(parent),), daemon=True).start()
    app = create_app(store, token, prefect or None, original)
    address = host.strip("[]") or "127.0.0.1"
    uvicorn.run(app, host=address, port=int(port), log_level="warning", timeout_graceful_shutdown=SECONDS)


def _follow(parent: int) -> None:
    """End with the process that started this one, even when that was killed."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)


def start(original: Reader | None = None) -> None:
    """With the arguments and the environment of this process."""
    try:
        main(sys.argv[1:], os.environ.get("WINNOW_VIEWER_TOKEN"), original)
    except Problem as problem:
        print(f"winnow: {problem}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    start()
