"""The evaluation of reasoning: measures of answers that are known, and a run over a tiny model."""

from pathlib import Path

import polars as pl
import pytest

from stages.alignment.evaluate_reasoning import ANSWERS, EvaluateReasoningConfig, evaluate, measured
from stages.alignment.prompts import Selection
from stages.compute import Compute
from stages.evaluation.measures import SCORES, wilson
from stages.stage import Input
from storage.problem import Problem


def rows(answers: list[tuple[str, str, float, bool]]) -> pl.DataFrame:
    """(id, part, temperature, right); the rest is alike."""
    table = pl.DataFrame(
        answers, schema={"id": pl.String, "part": pl.String, "temperature": pl.Float64, "right": pl.Boolean}, orient="row"
    )
    alike = {"formatted": True, "finish_reason": "stop", "tokens": [1, 2, 3]}
    return table.with_columns(**{name: pl.lit(value) for name, value in alike.items()})


def test_passes_are_counted_over_problems_and_intervals_are_wilsons() -> None:
    drawn = {"a": [True, True, False, False], "b": [False] * 4, "c": [True] * 4, "d": [True, False, False, False]}
    table = rows(
        [(name, "5 steps", 0.0, name in "ac") for name in drawn]
        + [(name, "5 steps", 1.0, right) for name, draws in drawn.items() for right in draws]
    )
    found = {one.metric: one for one in measured(table, 4)}
    assert found["greedy"].value == 0.5
    assert (found["greedy"].low, found["greedy"].high) == wilson(2, 4)
    assert found["pass@1"].value == pytest.approx(7 / 16)
    assert found["pass@1"].n == 4
    assert (found["pass@1"].low, found["pass@1"].high) == wilson(7 / 4, 4)
    # of two draws out of four: a fails in one pair of six, d in three
    assert found["pass@2"].value == pytest.approx((5 / 6 + 0 + 1 + 3 / 6) / 4)
    assert found["pass@4"].value == 0.75
    assert found["format"].value == found["finished"].value == 1.0
    assert found["format"].n == 16
    assert found["tokens"].value == 3.0


def test_parts_are_measured_alone_and_together() -> None:
    table = rows([(f"{part}{t}", part, t, part == "1 step") for part in ("1 step", "2 steps") for t in (0.0, 1.0)])
    found = {(one.part, one.metric): one.value for one in measured(table, 1)}
    assert [found[part, "pass@1"] for part in ("1 step", "2 steps", "all")] == [1.0, 0.0, 0.5]
    assert ("all", "pass@2") not in found


def test_a_tiny_model_is_asked_and_a_killed_evaluation_goes_on_with_what_it_has(
    policy: Input, problems: Input, tmp_path: Path
) -> None:
    config = EvaluateReasoningConfig(select=Selection(split="test"), questions=4, samples=2, tokens=10)
    given = {"model": policy, "prompts": problems}
    told = evaluate(given, tmp_path, config, Compute(threads=1))
    assert told["problems"] == 8
    assert 0 <= told["2 steps pass@1"] <= 1
    answers = pl.read_parquet(tmp_path / "answers.parquet")
    assert dict(answers.schema) == ANSWERS
    assert answers.height == 8 * 3
    assert dict(pl.read_parquet(tmp_path / "scores.parquet").schema) == SCORES
    assert "| 2 steps | 4 |" in (tmp_path / "report.md").read_text()
    outputs = ("answers.parquet", "scores.parquet", "report.md")
    made = [(tmp_path / name).read_bytes() for name in outputs]
    kept = tmp_path / ".done" / "1_step" / "answers.parquet"
    before = kept.stat().st_mtime_ns
    for name in outputs:
        (tmp_path / name).unlink()
    assert evaluate(given, tmp_path, config, Compute(threads=1)) == told
    assert kept.stat().st_mtime_ns == before
    assert [(tmp_path / name).read_bytes() for name in outputs] == made


def test_problems_without_a_number_are_refused(policy: Input, problems: Input, tmp_path: Path) -> None:
    pl.read_parquet(problems.shards[0]).with_columns(expected=pl.lit("Winnow")).write_parquet(tmp_path / "words.parquet")
    with pytest.raises(Problem, match="expects 'Winnow', which is no number"):
        evaluate(
            {"model": policy, "prompts": Input(tmp_path, ("words.parquet",))},
            tmp_path,
            EvaluateReasoningConfig(),
            Compute(threads=1),
        )
