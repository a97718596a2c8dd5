"""The Ray engine: same bytes as the local one, also when a worker is killed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.engines.local import LocalEngine
from flows.engines.ray import RayEngine
from flows.materialize import materialize
from storage.store import Store
from tests.flows import toy
from tests.flows.test_materialize import everything
from tests.flows.toy import DEADLY, NoConfig, context, files_of, numbers

pytest.importorskip("ray", reason="Ray is not installed: make install")


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayEngine]:
    engine = RayEngine(workers=2)
    yield engine
    engine.close()


def test_the_same_bytes_as_the_local_engine(cluster: RayEngine, engine: LocalEngine, tmp_path: Path) -> None:
    assert cluster.workers == 2
    everything(Store(str(tmp_path / "ray")), cluster)  # type: ignore[arg-type]
    everything(Store(str(tmp_path / "local")), engine)
    assert files_of(Store(str(tmp_path / "ray"))) == files_of(Store(str(tmp_path / "local")))


def test_a_killed_worker_costs_its_task_a_second_try(cluster: RayEngine, tmp_path: Path) -> None:
    tasks = [str(tmp_path / "tried"), "", "", ""]
    assert dict(cluster.map(toy.die_the_first_time, tasks)) == dict.fromkeys(range(4), "alive")


def test_a_page_that_kills_every_worker_becomes_the_same_row(cluster: RayEngine, engine: LocalEngine, tmp_path: Path) -> None:
    stores = [Store(str(tmp_path / name)) for name in ("ray", "local")]
    for store, used in zip(stores, (cluster, engine), strict=True):
        made = context(store, used)
        docs = numbers(made, {"a.warc": [1, 13, 99, 4]})
        assert materialize(made, DEADLY, NoConfig(), docs).snapshot.reasons == {
            "deadly_error:crashed": 1,
            "deadly_error:cpu_limit": 1,
        }
    assert files_of(stores[0]) == files_of(stores[1])
