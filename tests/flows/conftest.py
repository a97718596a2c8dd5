"""What tests of flows share: one warm pool, one Prefect server, one small made-up crawl and its corpus."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.engines.local import LocalEngine
from flows.server import private_server, settle_environment

Winnow = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def engine() -> Iterator[LocalEngine]:
    pool = LocalEngine(2)
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of every command that a test starts: a Prefect server of the tests' own."""
    os.environ["PREFECT_HOME"] = str(tmp_path_factory.mktemp("prefect"))
    settle_environment()
    with private_server() as address:
        yield os.environ | {"PREFECT_API_URL": address, "COLUMNS": "200", "NO_COLOR": "1"}


@pytest.fixture(scope="session")
def winnow(environment: dict[str, str]) -> Winnow:
    def command(*arguments: str, code: int = 0, **variables: str) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [sys.executable, "-m", "flows", *arguments], env=environment | variables, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == code, f"winnow {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    command.environment = environment  # type: ignore[attr-defined]
    return command


@pytest.fixture(scope="session")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small crawl files of a made-up web."""
    from stages.corpus.simulate import SIMULATE, SimulateConfig

    folder = tmp_path_factory.mktemp("crawl")
    SIMULATE.run({}, folder, SimulateConfig(pages=150, files=3))
    return folder


@pytest.fixture(scope="session")
def corpus_store(winnow: Winnow, crawl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store after one run of the corpus flow over the small crawl. Tests may read it, not change it."""
    store = tmp_path_factory.mktemp("corpus")
    winnow("run", "corpus", "--set", f'sources=["{crawl}/*.warc.gz"]', "--store", str(store))
    return store
