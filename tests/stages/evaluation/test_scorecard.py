from pathlib import Path

import polars as pl
import pytest

from stages.evaluation.measures import SCORES, Measure, frame, share
from stages.evaluation.scorecard import CARD, SCORECARD, ScorecardConfig
from stages.stage import Input
from storage.problem import Problem
from storage.shards import encode


def evaluation(folder: Path, *measures: Measure) -> Input:
    folder.mkdir()
    (folder / "scores.parquet").write_bytes(encode(frame(measures), SCORES))
    return Input(folder, ("scores.parquet",))


def shares(hits: int, n: int = 100) -> Measure:
    return share("chat", "right", [True] * hits + [False] * (n - hits), "known")


def test_one_seed_keeps_the_interval_of_the_measure(tmp_path: Path) -> None:
    before, after = evaluation(tmp_path / "a", shares(10)), evaluation(tmp_path / "b", shares(80))
    (tmp_path / "out").mkdir()
    stats = SCORECARD.run({"base/0": before, "chat/0": after}, tmp_path / "out", ScorecardConfig(moments=("base", "chat")))
    assert stats == {"seeds": 1, "known right": 0.8}
    card = pl.read_parquet(tmp_path / "out" / "scorecard.parquet")
    assert card.schema == CARD
    assert card["moment"].to_list() == ["base", "chat"]
    assert card["low"][1] == pytest.approx(shares(80).low)
    report = (tmp_path / "out" / "report.md").read_text()
    assert "| known | right | 0.100 [0.055, 0.174] | 0.800 [0.711, 0.867] | 100 |" in report


def test_several_seeds_give_the_mean_and_student_s_interval(tmp_path: Path) -> None:
    given = {f"chat/{seed}": evaluation(tmp_path / str(seed), shares(hits)) for seed, hits in enumerate((70, 80, 90))}
    (tmp_path / "out").mkdir()
    stats = SCORECARD.run(given, tmp_path / "out", ScorecardConfig())
    assert stats["seeds"] == 3
    assert stats["known right"] == pytest.approx(0.8)
    [row] = pl.read_parquet(tmp_path / "out" / "scorecard.parquet").iter_rows(named=True)
    half = 4.302653 * 0.1 / 3**0.5  # t of 2 degrees of freedom, standard deviation .1
    assert (row["low"], row["high"]) == (pytest.approx(0.8 - half), pytest.approx(0.8 + half))


def test_a_measure_that_a_moment_lacks_leaves_its_cell_empty(tmp_path: Path) -> None:
    late = share("chat", "right after call", [True, False], "tool needed")
    given = {"base/0": evaluation(tmp_path / "a", shares(10)), "chat/0": evaluation(tmp_path / "b", shares(80), late)}
    (tmp_path / "out").mkdir()
    SCORECARD.run(given, tmp_path / "out", ScorecardConfig(moments=("base", "chat")))
    assert "| tool needed | right after call |  | 0.500 [" in (tmp_path / "out" / "report.md").read_text()


@pytest.mark.parametrize(
    ("name", "moments", "says"),
    [("chat", (), "a moment and a seed"), ("chat/0", ("base",), "expected those of the evaluations: chat")],
)
def test_names_that_say_no_moment_are_refused(tmp_path: Path, name: str, moments: tuple[str, ...], says: str) -> None:
    given = {name: evaluation(tmp_path / "a", shares(10))}
    with pytest.raises(Problem, match=says):
        SCORECARD.run(given, tmp_path, ScorecardConfig(moments=moments))


def test_without_evaluations_there_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no evaluation"):
        SCORECARD.run({}, tmp_path, ScorecardConfig())


def test_parts_that_are_left_out_are_not_shown(tmp_path: Path) -> None:
    other = share("chat", "right", [True], "training")
    (tmp_path / "out").mkdir()
    config = ScorecardConfig(leave_out=("training",))
    stats = SCORECARD.run({"chat/0": evaluation(tmp_path / "a", shares(80), other)}, tmp_path / "out", config)
    assert stats == {"seeds": 1, "known right": 0.8}
