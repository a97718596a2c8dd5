"""One holder at a time; death, sleep and damage free a lock; nobody takes or frees what is another's."""

import json
import multiprocessing
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from storage.locks import held, lock
from storage.store import Store


def _hold(url: str, ready: object, go: object) -> None:
    with lock(Store(url), "c4-0", lambda who: None):
        ready.set()  # type: ignore[attr-defined]
        go.wait(30)  # type: ignore[attr-defined]


def test_a_lock_makes_the_second_wait_and_death_frees_it(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    ready, go = spawn.Event(), spawn.Event()
    holder = spawn.Process(target=_hold, args=(str(tmp_path), ready, go))
    holder.start()
    assert ready.wait(30)
    assert held(Store(str(tmp_path)), "c4-0")
    told: list[str] = []

    def killed_once_told(who: str) -> None:
        told.append(who)
        holder.kill()

    with lock(Store(str(tmp_path)), "c4-0", killed_once_told):
        pass
    assert len(told) == 1
    assert f"process {holder.pid}" in told[0]
    assert not held(Store(str(tmp_path)), "c4-0")
    assert not held(Store(str(tmp_path)), "never-locked")


LEASE = ".winnow/locks/c4-0.lock"


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store on an S3 server on loopback."""
    moto = pytest.importorskip("moto.server", reason="moto is not installed: make install")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setattr("storage.locks.PAUSE_SECONDS", 0.1)
    fsspec.get_filesystem_class("s3").clear_instance_cache()  # another test's client knows other credentials
    store = Store(f"s3://leases/{tmp_path.name}")
    store.fs.makedirs("leases", exist_ok=True)
    yield store
    type(store.fs).clear_instance_cache()  # the next test has another server
    server.stop()


def test_a_lease_has_one_holder_at_a_time(bucket: Store) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work(worker: int) -> None:
        with lock(bucket, "c4-0", lambda who: None):
            inside.append(worker)
            most.append(len(inside))
            time.sleep(0.1)
            inside.remove(worker)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == [1, 1, 1, 1]
    assert not held(bucket, "c4-0")


@pytest.mark.parametrize("lease", [json.dumps({"owner": "dead", "expires": 1.0}).encode(), b"{", b"[]"])
def test_a_lease_that_has_expired_or_cannot_be_read_is_taken_over(bucket: Store, lease: bytes) -> None:
    bucket.write(LEASE, lease)
    assert not held(bucket, "c4-0")
    told: list[str] = []
    with lock(bucket, "c4-0", told.append):
        assert held(bucket, "c4-0")
        assert json.loads(bucket.read(LEASE))["owner"].startswith("process ")
    assert told == []


def test_a_live_lease_is_waited_for_and_renewed_as_long_as_its_holder_lives(
    bucket: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.locks.LEASE_SECONDS", 1.0)
    monkeypatch.setattr("storage.locks.HEARTBEAT_SECONDS", 0.2)
    told: list[str] = []
    freed: list[float] = []

    def second() -> None:
        with lock(bucket, "c4-0", told.append):
            freed.append(time.monotonic())

    with lock(bucket, "c4-0", lambda who: None):
        waiter = threading.Thread(target=second)
        waiter.start()
        time.sleep(2.0)  # twice as long as a lease that nobody renews
        assert freed == []
    waiter.join(30)
    assert len(freed) == len(told) == 1


def test_who_lost_the_lease_neither_renews_nor_frees_it(bucket: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.locks.HEARTBEAT_SECONDS", 0.1)
    taken = json.dumps({"owner": "another", "expires": time.time() + 60}).encode()
    with lock(bucket, "c4-0", lambda who: None):
        bucket.write(LEASE, taken)  # as if this process had slept past its lease
        time.sleep(0.5)
        assert bucket.read(LEASE) == taken
    assert bucket.read(LEASE) == taken
