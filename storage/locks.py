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
from dataclasses import dataclass

from storage.store import Store

LEASE_SECONDS = 60.0
HEARTBEAT_SECONDS = 15.0
PAUSE_SECONDS = 1.0


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
        lease = _lease_at(store, path)
        if lease is None:
            continue  # freed this moment
        if lease.expires < time.time():
            # Two takers may both overwrite; the one whose claim is there after a pause has it, the other waits on.
            store.write(path, claim())
            time.sleep(PAUSE_SECONDS)
            if _owned(store, path, owner):
                break
            continue
        if not told:
            waiting(f"another run ({lease.owner}) is at work on this artifact")
            told = True
        time.sleep(2 * PAUSE_SECONDS)

    stop = threading.Event()

    def renew() -> None:
        while not stop.wait(HEARTBEAT_SECONDS):
            # Whatever a cloud client raises: a missed heartbeat is made good by the next; LEASE_SECONDS allows for three.
            with contextlib.suppress(Exception):
                if not _owned(store, path, owner):
                    return  # this process slept, the lease expired, another took it over: it is theirs now
                store.write(path, claim())

    heartbeat = threading.Thread(target=renew, daemon=True)
    heartbeat.start()
    try:
        yield
    finally:
        stop.set()
        heartbeat.join()
        if _owned(store, path, owner):
            store.remove(path)


@dataclass(frozen=True)
class _Lease:
    owner: str
    expires: float


def _lease_at(store: Store, path: str) -> _Lease | None:
    """The lease that lies there; one that cannot be read has expired."""
    try:
        return _Lease(**json.loads(store.read(path)))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        return _Lease("unknown", 0.0)


def _owned(store: Store, path: str, owner: str) -> bool:
    lease = _lease_at(store, path)
    return lease is not None and lease.owner == owner


def held(store: Store, name: str) -> bool:
    """Whether somebody, this process included, holds the lock `name` now."""
    path = f".winnow/locks/{name}.lock"
    if not store.is_local:
        lease = _lease_at(store, path)
        return lease is not None and lease.expires >= time.time()
    try:
        with store.local(path).open() as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
