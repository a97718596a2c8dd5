"""`winnow report`: a page in a file, an object for programs, and plain words where there is no model or no place for it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.__main__ import app
from flows.commands.report import report
from storage.artifact import resolve
from storage.problem import Problem
from storage.report import report as page
from tests.storage.report.conftest import Shop, make


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    made = Shop(tmp_path_factory.mktemp("reported") / "store")
    make(made)
    return made


def test_the_page_is_what_a_flow_gets_and_the_last_line_is_an_object(shop: Shop, tmp_path: Path) -> None:
    out = tmp_path / "aligned.html"
    done = CliRunner().invoke(app, ["report", "grpo", "--store", shop.store.root, "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["report"] == str(out)
    assert told["bytes"] == out.stat().st_size
    assert [one.partition("/")[0] for one in told["line"]] == ["pretrain", "sft", "sft", "grpo"]
    assert out.read_text(encoding="utf-8") == page(shop.store, resolve(shop.store, told["model"]))


def test_without_a_name_the_page_is_called_after_the_model(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    report("pretrain", None, shop.store.root, False)
    [written] = tmp_path.iterdir()
    assert written.name.startswith("pretrain-")
    assert written.suffix == ".html"
    said = capsys.readouterr().out
    assert written.name in said
    assert "1 trainings" not in said
    assert "1 training," in said


def test_what_is_no_model_and_where_nothing_can_be_written_is_said(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"corpus/.* holds no weights"):
        report("corpus", tmp_path / "x.html", shop.store.root, False)
    with pytest.raises(Problem, match=r"--out .*No such file or directory; expected the name of a file"):
        report("sft", tmp_path / "nowhere" / "x.html", shop.store.root, False)
    with pytest.raises(Problem, match="no artifact 'grpoo'"):
        report("grpoo", tmp_path / "x.html", shop.store.root, False)
    assert not list(tmp_path.iterdir())
