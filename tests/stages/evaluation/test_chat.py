"""The evaluation of chat models, on models whose every answer is known beforehand."""

import itertools
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from models.formats.pretrained import save_model
from models.tokenizer.load import load
from models.tokenizer.reserved import PYTHON, PYTHON_END, RESULT_END, SEPARATOR, TURN_END
from stages.compute import Compute
from stages.evaluation.chat import EVALUATE_CHAT, ROWS, EvaluateChatConfig, asked, evaluate, listed, question_of
from stages.evaluation.measures import SCORES
from stages.posttraining.conversations import messages_of
from stages.posttraining.world.questions import UNKNOWN
from stages.stage import Input
from storage.problem import Problem
from tests.models.chat.tools.walking import walking
from tests.stages.posttraining.world.conftest import Made, world  # noqa: F401

CPU = Compute(device="cpu", threads=1)
CONFIG = EvaluateChatConfig(max_tokens=40)
FILES = ("scores.parquet", "questions.parquet", "report.md")


def model(folder: Path, given: Made, *walks: Sequence[str], context: int = 512) -> Path:
    """Says each walk, a list of reserved names and texts: from its first, which is fed, to its last."""
    tokenizer = load(given.inputs["tokenizer"].folder)
    following: dict[int, int] = {}
    for walk in walks:
        ids = [
            token
            for part in walk
            for token in ([tokenizer.special[part]] if part in tokenizer.special else tokenizer.encode(part))
        ]
        assert not {*ids[:-1]} & following.keys()
        assert len({*ids}) == len(ids)
        following |= dict(itertools.pairwise(ids))
    network = walking(tokenizer.size, following, context)
    folder.mkdir()
    save_model(network, folder, start=tokenizer.start, stops=tokenizer.stops, pad=tokenizer.pad)
    tokenizer.save(folder)
    return folder


@pytest.fixture
def given(world: Made) -> Made:  # noqa: F811
    return world


def inputs(given: Made, folder: Path) -> dict[str, Any]:
    names = tuple(sorted(path.name for path in given.out.iterdir() if path.is_file()))
    return {"model": folder, "conversations": Input(given.out, names), "crawl": given.inputs["crawl"]}


def rates(out: Path) -> dict[tuple[str, str], float]:
    scores = pl.read_parquet(out / "scores.parquet")
    assert dict(scores.schema) == SCORES
    return {(part, metric): value for part, metric, value in scores.select("part", "metric", "value").iter_rows()}


def test_a_model_that_knows_nothing_refuses_everybody_and_calls_no_tool(given: Made, tmp_path: Path) -> None:
    folder = model(tmp_path / "model", given, [SEPARATOR, UNKNOWN, TURN_END])
    out = tmp_path / "out"
    out.mkdir()
    stats = evaluate(inputs(given, folder), out, CONFIG, CPU)
    found = rates(out)
    for part, metric in (("unknown", "refused"), ("known", "refused"), ("never asked", "refused"), ("all", "finished")):
        assert found[part, metric] == 1
    for part in ("known", "never asked", "follow-up", "5 steps", "python", "search", "identity"):
        assert found[part, "right"] == 0
    assert found["tool needed", "called"] == found["tool not needed", "called"] == 0
    assert found["search without result", "refused"] == 1
    assert ("python", "right after call") not in found
    again = given.tests.filter(pl.col("part") == "never_asked").height  # once from memory, once where they may be looked up
    assert stats["questions"] == given.tests.height + again
    assert found["without retrieval", "right"] == found["with retrieval", "right"] == 0
    rows = pl.read_parquet(out / "questions.parquet")
    assert dict(rows.schema) == ROWS
    assert set(rows["answer"]) == {UNKNOWN}
    report = (out / "report.md").read_text()
    assert f"| unknown | refused | 1.000 [0.806, 1.000] | {16} |" in report
    assert "unknown, right: " in report


def test_a_model_that_always_calls_is_answered_only_where_the_tool_is_listed(given: Made, tmp_path: Path) -> None:
    folder = model(tmp_path / "model", given, [SEPARATOR, PYTHON, "7", PYTHON_END], [RESULT_END, "9", TURN_END])
    out = tmp_path / "out"
    out.mkdir()
    evaluate(inputs(given, folder), out, CONFIG, CPU)
    found = rates(out)
    assert found["tool needed", "called"] == found["tool not needed", "called"] == found["python", "called"] == 1
    rows = pl.read_parquet(out / "questions.parquet")
    assert set(rows["answer"]) == {"9"}
    calls = {kind: set(mine["calls"].explode()) for (kind,), mine in rows.group_by("kind")}
    assert calls["python"] == {"python: 7 -> 7"}
    assert calls["fact"] == calls["retrieval"] == {"python: 7 -> error: there is no tool python in this conversation"}
    right = rows.filter(pl.col("expected") == "9", pl.col("kind").is_in(["python", "arithmetic"]))
    assert right["right"].all()
    assert found["python", "right"] == (rows.filter(pl.col("kind") == "python")["expected"] == "9").mean()


@pytest.mark.slow
def test_as_a_job_it_gives_the_same_bytes_and_goes_on_where_it_was_killed(given: Made, tmp_path: Path) -> None:
    folder = model(tmp_path / "model", given, [SEPARATOR, UNKNOWN, TURN_END])
    few = CONFIG.model_copy(update={"questions": 2})
    whole, again = tmp_path / "whole", tmp_path / "again"
    whole.mkdir()
    EVALUATE_CHAT.run(inputs(given, folder) | {"compute": {"device": "cpu", "threads": "1"}}, whole, few)
    shutil.copytree(whole, again)
    for name in FILES:
        (again / name).unlink()
    shutil.rmtree(again / ".done" / "identity")
    changed = again / ".done" / "unknown" / "unknown.parquet"
    kept = changed.stat().st_mtime_ns
    evaluate(inputs(given, folder), again, few, CPU)
    for name in FILES:
        assert (again / name).read_bytes() == (whole / name).read_bytes()
    assert changed.stat().st_mtime_ns == kept


def test_questions_that_leave_no_room_are_counted_and_not_asked(given: Made, tmp_path: Path) -> None:
    folder = model(tmp_path / "model", given, [SEPARATOR, UNKNOWN, TURN_END], context=96)
    out = tmp_path / "out"
    out.mkdir()
    stats = evaluate(inputs(given, folder), out, CONFIG, CPU)
    again = given.tests.filter(pl.col("part") == "never_asked").height
    assert 0 < stats["skipped"] == given.tests.height + again - stats["questions"]
    assert f"{stats['skipped']:,} questions were not asked" in (out / "report.md").read_text()


def test_the_question_is_all_up_to_the_users_last_turn_and_its_tools_those_of_the_system_message(given: Made) -> None:
    for identity, kind, rows in given.tests.select("id", "kind", "messages").iter_rows():
        messages = messages_of(rows, identity)
        before = question_of(messages)
        assert before[-1].role == "user"
        assert messages[: len(before)] == before
        if kind in ("python", "search"):
            assert kind in listed(before)
        if kind == "fact":
            assert not listed(before)


def test_an_artifact_without_tests_is_refused(given: Made) -> None:
    with pytest.raises(Problem, match="no conversation with the split `test`"):
        asked(Input(given.out, ("conversations-00000.parquet",)), 0)
    with pytest.raises(Problem, match="expected those of the stage `world_conversations`"):
        asked(Input(given.inputs["crawl"].folder, ("facts.parquet",)), 0)
