"""Run records: who made what, when, where and from which snapshots. The one place for times, hosts, versions and locations.

`runs/{time}-{id}.json`, rewritten after every stage, so that a run that died shows how far it came. A run holds the lock of its id
for as long as it lives: so a record that says `running` can be told from one whose run was killed.
"""

import contextlib
import json
import platform
import secrets
import socket
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from storage.locks import held, lock
from storage.snapshot import Snapshot
from storage.store import Store

PACKAGES = ("winnow", "prefect", "polars", "pyarrow", "datatrove", "resiliparse", "trafilatura", "fastwarc", "torch")


@dataclass
class Made:
    """One artifact of a run: its snapshot, and the snapshots that it was made from."""

    reference: str
    inputs: dict[str, str]
    cached: bool
    seconds: float
    rows: int
    bytes: int


@dataclass
class RunRecord:
    flow: str
    parameters: dict[str, Any]
    id: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(3)}")
    state: str = "running"
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    finished: str | None = None
    host: str = field(default_factory=socket.gethostname)
    versions: dict[str, str] = field(default_factory=lambda: _versions())
    artifacts: dict[str, Made] = field(default_factory=dict)

    def add(self, stage: str, snapshot: Snapshot, inputs: dict[str, str], cached: bool, seconds: float) -> None:
        self.artifacts[stage] = Made(snapshot.reference, inputs, cached, round(seconds, 3), snapshot.rows, snapshot.bytes)

    @property
    def lock(self) -> str:
        return f"run-{self.id}"

    def save(self, store: Store) -> None:
        store.write(f"runs/{self.id}.json", (json.dumps(asdict(self), indent=1) + "\n").encode())

    def finish(self, store: Store, state: str) -> None:
        self.state = state
        self.finished = datetime.now(UTC).isoformat(timespec="seconds")
        self.save(store)

    @contextlib.contextmanager
    def kept(self, store: Store, waiting: Callable[[str], None]) -> Iterator[None]:
        """Within the block the record says that the run is at work; whatever ends the block, it says how."""
        with lock(store, self.lock, waiting):
            self.save(store)
            try:
                yield
            except BaseException as error:
                # Ctrl-C and what Prefect makes of SIGTERM are no Exceptions. A store that is full or gone cannot take the record: the error
                # at hand says so better than another one would.
                with contextlib.suppress(Exception):
                    self.finish(store, "failed" if isinstance(error, Exception) else "cancelled")
                raise
            self.finish(store, "completed")


def state_of(store: Store, record: RunRecord) -> str:
    """running | completed | failed | cancelled; crashed, where the record says `running` and nobody holds the run's lock."""
    return "crashed" if record.state == "running" and not held(store, record.lock) else record.state


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def load(store: Store, name: str) -> RunRecord:
    document = json.loads(store.read(f"runs/{name}"))
    made = {stage: Made(**artifact) for stage, artifact in document.pop("artifacts").items()}
    return RunRecord(**document, artifacts=made)


def records(store: Store) -> Iterator[RunRecord]:
    """Every readable run record, the newest first. They are shared: whoever wants to change one loads it."""
    for name, size in sorted(store.sizes("runs").items(), reverse=True):
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
            known = _loaded(store, name, size)
            yield load(store, name) if known.state == "running" else known


@lru_cache(maxsize=8192)
def _loaded(store: Store, name: str, size: int) -> RunRecord:
    """A run that has ended is not written again, so that its record is read once."""
    return load(store, name)
