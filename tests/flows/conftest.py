"""What tests of flows share: one warm pool, one Prefect server, one small made-up crawl and its corpus."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.engines.local import LocalEngine
from flows.server import private_server, settle_environment
from stages.corpus.blocklists import ARCHIVE, list_files

Artifacts = dict[str, dict[str, object]]
CorpusRun = Callable[..., Artifacts]
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
            [sys.executable, "-m", "flows", *arguments], env=environment | variables, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == code, f"winnow {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    command.environment = environment  # type: ignore[attr-defined]
    return command


@pytest.fixture(scope="session")
def corpus_command(lists: Path) -> Callable[[str, str], list[str]]:
    def command(sources: str, store: str) -> list[str]:
        return ["run", "corpus", "--set", f'sources=["{sources}"]', "--set", f"lists={lists}", "--store", store]

    return command


@pytest.fixture(scope="session")
def corpus_run(winnow: Winnow, corpus_command: Callable[[str, str], list[str]]) -> CorpusRun:
    """Run the corpus flow; its artifacts by stage."""

    def run(sources: str, store: str, *more: str, **variables: str) -> Artifacts:
        output = winnow(*corpus_command(sources, store), "--json", *more, **variables).stdout
        artifacts: Artifacts = json.loads(output.splitlines()[-1])["artifacts"]
        return artifacts

    return run


@pytest.fixture(scope="session")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small crawl files of a made-up web."""
    from stages.corpus.simulate import SIMULATE, SimulateConfig

    folder = tmp_path_factory.mktemp("crawl")
    SIMULATE.run({}, folder, SimulateConfig(pages=150, files=3))
    return folder


@pytest.fixture(scope="session")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """URL lists of two domains instead of four million, which take seven seconds; the word lists are the installed ones."""
    folder = tmp_path_factory.mktemp("lists")
    for file in list_files():
        if file.suffix == ".txt":
            shutil.copy(file, folder)
    with tarfile.open(folder / ARCHIVE, "w:gz") as archive:
        for name, content in (("urls", b"bad.example/page\n"), ("domains", b"bad.example\nworse.example\n")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return folder


@pytest.fixture(scope="session")
def corpus_store(corpus_run: CorpusRun, crawl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store after one run of the corpus flow over the small crawl. Tests may read it, not change it."""
    store = tmp_path_factory.mktemp("corpus")
    corpus_run(f"{crawl}/*.warc.gz", str(store))
    return store


@pytest.fixture(scope="session")
def bucket() -> Iterator[dict[str, str]]:
    """An S3 server on loopback, and what a client needs to find it."""
    moto = pytest.importorskip("moto.server", reason="moto is not installed: make install")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    yield variables
    server.stop()
