"""The commands as a new user meets them: in a terminal and in a pipe, with right and with wrong arguments, and stopped."""

import io
import json
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from flows.__main__ import app
from flows.commands.options import open_store
from flows.demo import DemoParameters, show_report
from flows.engines.local import LocalEngine
from flows.materialize import materialize
from flows.parameters import parameters
from stages.corpus.simulate import SIMULATE, SimulateConfig
from storage.problem import Problem
from storage.runs import RunRecord
from storage.shards import write_shard
from storage.snapshot import Snapshot
from storage.store import Store
from tests.flows.conftest import Winnow
from tests.flows.toy import context
from tests.storage.viewer.conftest import make_store

TAKE_TERMINAL = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


def called(*arguments: str) -> list[str]:
    """The lines that a command prints, run in this process."""
    done = CliRunner().invoke(app, list(arguments))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


def strict(line: str) -> Any:
    """JSON as the standard has it: Python's own reader also takes NaN."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(line, parse_constant=refuse)


@pytest.mark.parametrize("name", ["demo", "run", "sample", "show", "why", "lineage", "report", "verify", "gc", "doctor"])
def test_every_command_and_every_option_says_what_it_is_for(name: str) -> None:
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    assert command.help
    assert [one.name for one in command.params if not getattr(one, "help", "")] == []
    assert "--json" in " ".join(called(name, "--help"))


def test_every_stage_can_be_shown_to_people_and_to_programs(corpus_store: Path) -> None:
    stages = [one["stage"] for one in strict(called("show", "--json", "--store", str(corpus_store))[-1])["artifacts"]]
    assert {"sources", "blocklists", "signatures", "clusters", "corpus"} < set(stages)
    for stage in stages:
        assert called("show", stage, "--sample", "2", "--store", str(corpus_store))[0].startswith(f"{stage}/")
        [line] = called("show", stage, "--sample", "2", "--json", "--store", str(corpus_store))
        assert len(strict(line)["sample"]) == (0 if stage == "blocklists" else 2)
    assert not strict(called("show", "c4", "--sample", "0", "--json", "--store", str(corpus_store))[-1])["sample"]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory, engine: LocalEngine) -> tuple[str, str]:
    """A store, and in it a whole stage's artifact with crawl files and two tables of different columns."""
    store = Store(str(tmp_path_factory.mktemp("simulated")))
    made = materialize(context(store, engine), SIMULATE, SimulateConfig(pages=20, files=1))
    return store.url, made.snapshot.folder


def test_tables_of_different_columns_are_shown_one_by_one(simulated: tuple[str, str]) -> None:
    store, artifact = simulated
    lines = called("show", artifact, "--sample", "1", "--store", store)
    assert [line for line in lines if line in ("facts.parquet", "truth.parquet")] == ["facts.parquet", "truth.parquet"]
    assert any("crawl-00000.warc.gz" in line for line in lines)
    of_one = called("show", artifact, "--where", "language = 'en'", "--sample", "1", "--store", store)
    assert next(line for line in of_one if line.startswith("columns: ")).startswith("columns: id ")
    with pytest.raises(Problem, match="unable to find column"):
        called("show", artifact, "--where", "nowhere = 1", "--store", store)


def test_numbered_files_of_a_whole_stage_are_shown_as_one_table(tmp_path: Path) -> None:
    make_store(str(tmp_path))
    lines = called("show", "report", "--where", "miles > 1", "--sample", "5", "--store", str(tmp_path))
    assert "2 rows match" in lines
    assert [line for line in lines if line.startswith("miles ")] == ["miles 2", "miles 3"]


def test_a_wrong_condition_names_the_columns_once(corpus_store: Path) -> None:
    with pytest.raises(Problem, match="Columns: ") as problem:
        called("show", "c4", "--where", "nowhere = 1", "--store", str(corpus_store))
    assert str(problem.value).count("curly_bracket") == 1


@pytest.mark.parametrize(
    "command", [["show"], ["show", "c4"], ["why", "x"], ["lineage", "c4"], ["report", "sft"], ["verify"], ["gc"]]
)
def test_a_store_that_holds_nothing_or_cannot_be_read_is_one_clear_error(command: list[str], tmp_path: Path) -> None:
    with pytest.raises(Problem, match="holds nothing; run `winnow demo`"):
        called(*command, "--store", str(tmp_path / "typo"))
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(Problem, match="holds nothing"):
        called(*command, "--store", str(file))


def test_an_object_store_without_credentials_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("s3fs", reason="s3fs is not installed: make install")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(Problem, match="cannot be read: NoCredentialsError"):
        open_store("s3://nobody-s-bucket/store")


def test_why_takes_a_part_that_one_page_has_and_lists_the_pages_of_another(corpus_store: Path) -> None:
    store = ["--store", str(corpus_store)]
    sample = strict(called("show", "dedup", "--reason", "duplicate", "--sample", "1", "--json", *store)[-1])["sample"]
    page = sample[0]
    story = called("why", page["id"][10:40], *store)
    assert story[0] == page["url"]
    assert sum(page["url"] in line for line in story) == 1
    assert any("dropped: duplicate" in line and page["reason_detail"] in line for line in story)
    assert called("why", page["url"], *store) == story
    with pytest.raises(Problem, match="part of the id or URL of several pages"):
        called("why", "example", *store)
    with pytest.raises(Problem, match="the empty text"):
        called("why", "", *store)
    with pytest.raises(Problem, match="no page of run"):
        called("why", "no such page", *store)


@pytest.mark.parametrize(
    ("threshold", "said"), [(None, "(measured 404; HTTP 404)"), (299.0, "(measured 404, threshold 299; HTTP 404)")]
)
def test_why_speaks_of_a_threshold_where_there_is_one(tmp_path: Path, threshold: float | None, said: str) -> None:
    store, run = Store(str(tmp_path)), RunRecord("corpus", {})
    columns = {
        "id": pl.String(),
        "reason": pl.String(),
        "reason_value": pl.Float64(),
        "reason_threshold": pl.Float64(),
        "reason_detail": pl.String(),
    }
    page = pl.DataFrame([("a-page", "status", 404.0, threshold, "HTTP 404")], columns, orient="row")
    file = write_shard(store, "records/0123456789ab", "a-p0000-00000000.parquet", page, columns, "o0")
    snapshot = Snapshot.of("records", "0123456789ab", [file])
    snapshot.seal(store)
    run.add("records", snapshot, {}, False, 1.0)
    run.finish(store, "completed")
    assert any(line.endswith(said) for line in called("why", "a-page", "--store", str(tmp_path)))


def test_lineage_takes_every_way_of_naming_an_artifact(corpus_store: Path) -> None:
    store = ["--store", str(corpus_store)]
    [line] = called("lineage", "c4", "--json", *store)
    reference = strict(line)["artifact"]
    folder = reference.partition("@")[0]
    for name in ("c4@latest", reference, folder, folder.partition("/")[2], f"{corpus_store}/{folder}/"):
        assert called("lineage", name, "--json", *store) == [line]
    assert called("lineage", "c4", "--mermaid", *store)[0] == "flowchart TD"


def test_a_reader_that_goes_away_is_no_error(corpus_store: Path, winnow: Winnow) -> None:
    command = [sys.executable, "-m", "flows", "show", "corpus", "--sample", "100", "--full", "--store", str(corpus_store)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as shown:
        assert shown.stdout is not None
        assert shown.stderr is not None
        shown.stdout.close()
        assert shown.stderr.read() == b""


def test_the_report_of_the_demo_fits_eighty_columns() -> None:
    report = "# How well\n\n| stage | seen | meant to go | dropped | as meant | precision | recall | F1 |\n|---|---:|\n"
    report += (
        "| gopher_repetition | 300000 | 13300 | 13300 | 13300 | 1.000 | 1.000 | 1.000 |\n\n`pii` counts.\n\n## Rule by rule\n"
    )
    console = Console(file=io.StringIO(), width=80)
    show_report(report, console)
    title, header, row, note = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert (title, header.split()[0], row.split(), note) == (
        "How well",
        "stage",
        ["gopher_repetition", "300000", "13300", "13300", "13300", "1.000", "1.000", "1.000"],
        "pii counts.",
    )


def test_the_demo_reads_no_crawl_but_its_own() -> None:
    with pytest.raises(Problem, match="the demo reads only the crawl that it makes"):
        parameters(DemoParameters, None, ['sources=["mine.warc.gz"]'], {})


def test_in_a_terminal_progress_is_live_and_ctrl_c_says_how_to_go_on(tmp_path: Path, environment: dict[str, str]) -> None:
    command = [
        sys.executable,
        "-m",
        "flows",
        "demo",
        "--until",
        "corpus",
        "--pages",
        "20",
        "--workers",
        "1",
        "--store",
        str(tmp_path / "store"),
    ]
    ours, theirs = pty.openpty()
    # Its own session with this terminal as the controlling one: the byte 3 becomes the signal that a key press sends.
    run = subprocess.Popen(
        [sys.executable, "-c", TAKE_TERMINAL, *command],
        env=environment | {"TERM": "xterm", "COLUMNS": "100"},
        start_new_session=True,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = ""
    pressed = 0.0
    while True:
        try:
            seen += os.read(ours, 65536).decode(errors="replace")
        except OSError:  # how Linux says that the other side is closed
            break
        if not pressed and re.search(r"blocklists[ ━]*0/1 shards", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen)):
            pressed = time.monotonic()
            os.write(ours, b"\x03")
    os.close(ours)
    assert run.wait(timeout=60) == 130, seen[-3000:]
    assert pressed
    assert time.monotonic() - pressed < 60
    assert "demo: stopped; what is finished is kept, run the same command again to go on" in seen
    assert "Traceback" not in seen
    assert "Error logging to API" not in seen
