"""One writer per artifact: locks save double work; correctness rests on immutable, atomic writes alone.

Local store: `flock`, which the kernel frees when its owner dies. Object store: a lease file made by conditional PUT, renewed by a
heartbeat, taken over once it has expired.
"""

import contextlib
import fcntl
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator

from storage.store import Store

LEASE_SECONDS = 60.0
HEARTBEAT_SECONDS = 15.0


@contextlib.contextmanager
def lock(store: Store, name: str, waiting: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock `name` (such as `c4-0123456789ab`). Where another holds it, `waiting` is told once, then this waits."""
    path = f".winnow/locks/{name}.lock"
    with _flock(store, path, waiting) if store.is_local else _lease(store, path, waiting):
        yield


@contextlib.contextmanager
def _flock(store: Store, path: str, waiting: Callable[[str], None]) -> Iterator[None]:
    file = store.local(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            waiting(f"another run ({handle.read().strip() or 'unknown'}) is at work on this artifact")
            fcntl.flock(handle, fcntl.LOCK_EX)
        handle.truncate(0)
        handle.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        handle.flush()
        yield


@contextlib.contextmanager
def _lease(store: Store, path: str, waiting: Callable[[str], None]) -> Iterator[None]:
    owner = f"process {os.getpid()} on {socket.gethostname()} {secrets.token_hex(4)}"

    def claim() -> bytes:
        return json.dumps({"owner": owner, "expires": time.time() + LEASE_SECONDS}).encode()

    told = False
    while not store.create(path, claim()):
        try:
            held = json.loads(store.read(path))
        except FileNotFoundError:
            continue
        if held["expires"] < time.time():
            # Two takers may both overwrite; the one whose claim is there after a pause has it, the other waits on.
            store.write(path, claim())
            time.sleep(1.0)
            with contextlib.suppress(FileNotFoundError):
                if json.loads(store.read(path))["owner"] == owner:
                    break
            continue
        if not told:
            waiting(f"another run ({held['owner']}) is at work on this artifact")
            told = True
        time.sleep(2.0)

    stop = threading.Event()

    def renew() -> None:
        while not stop.wait(HEARTBEAT_SECONDS):
            with contextlib.suppress(OSError):  # a missed heartbeat is made good by the next; LEASE allows for three
                store.write(path, claim())

    heartbeat = threading.Thread(target=renew, daemon=True)
    heartbeat.start()
    try:
        yield
    finally:
        stop.set()
        heartbeat.join()
        store.remove(path)
