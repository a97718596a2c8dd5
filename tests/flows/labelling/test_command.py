"""`winnow label` where no page is shown: the report, and what cannot be judged."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.__main__ import app
from storage.problem import Problem


def called(*arguments: str) -> str:
    found = CliRunner().invoke(app, ["label", *arguments])
    if isinstance(found.exception, Problem):
        raise found.exception
    assert found.exit_code == 0, found.output
    return found.stdout


def test_the_report_is_told_without_a_store_for_people_and_for_programs(tmp_path: Path) -> None:
    path = tmp_path / "judged.jsonl"
    lines = [
        {"item": str(item), "annotator": who, "answers": [[], []], "ranks": [1, 2 if who == "Ann" or item else 1]}
        for who in ("Ann", "Bob")
        for item in range(3)
    ]
    assert "nothing is judged" in called("rollouts", "--report", "--to", str(path))
    path.write_text("\n".join(map(json.dumps, lines)))
    assert "| Ann and Bob | 3 | 3 | 0.67 | 0.00 |" in called("rollouts", "--report", "--to", str(path))
    told = json.loads(called("rollouts", "--report", "--to", str(path), "--json").splitlines()[-1])
    assert told["judged"] == {"Ann": 3, "Bob": 3}
    assert told["agreement"][0]["same"] == pytest.approx(2 / 3)


def test_a_nameless_annotator_and_a_folder_that_is_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="the name is empty"):
        called("rollouts", "--name", " ")
    with pytest.raises(Problem, match="there is no folder"):
        called("rollouts", "--to", str(tmp_path / "none" / "judged.jsonl"))
    with pytest.raises(Problem, match="holds nothing"):
        called("rollouts", "--store", str(tmp_path), "--to", str(tmp_path / "judged.jsonl"))
