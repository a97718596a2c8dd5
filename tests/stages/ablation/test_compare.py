"""Variants of a corpus against each other: intervals over paired seeds, and verdicts only where they leave zero out."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from stages.ablation.compare import COMPARE, CompareConfig
from stages.evaluation.measures import SCORES, interval
from stages.stage import Input
from storage.problem import Problem
from storage.shards import read_parquet


def scores(folder: Path, bits: float, cloze: float | None = None) -> Input:
    folder.mkdir(parents=True)
    rows = [("bits_per_byte", "held_out", "bits_per_byte", bits, 9, None, None, None, None, None)]
    if cloze is not None:
        rows.append(("cloze", "withheld", "accuracy", cloze, 9, None, None, None, None, None))
    pl.DataFrame(rows, schema=SCORES, orient="row").write_parquet(folder / "scores.parquet")
    return Input(folder, ("scores.parquet",))


def given(folder: Path, variants: dict[str, list[tuple[float, float]]]) -> dict[str, Input]:
    """Variant -> (bits per byte, cloze accuracy) of each seed."""
    inputs: dict[str, Input] = {}
    for name, models in variants.items():
        packed = folder / name / "packed"
        packed.mkdir(parents=True)
        pl.DataFrame({"used": [60, 40]}, schema={"used": pl.Int32}).write_parquet(packed / "train-00000.parquet")
        pl.DataFrame({"used": [999]}, schema={"used": pl.Int32}).write_parquet(packed / "validation-00000.parquet")
        inputs[name] = Input(packed, ("train-00000.parquet", "validation-00000.parquet"))
        for seed, (bits, cloze) in enumerate(models):
            model = folder / name / f"model {seed}"
            model.mkdir()
            pl.DataFrame({"tokens": [0, 150, 250]}).write_parquet(model / "metrics.parquet")
            inputs[f"{name}/{seed}"] = Input(model, ("metrics.parquet",))
            inputs[f"{name}/{seed}/all text"] = scores(folder / name / f"scores {seed}", bits, cloze)
    return inputs


def compared(folder: Path, variants: dict[str, list[tuple[float, float]]]) -> pl.DataFrame:
    out = folder / "out"
    out.mkdir()
    COMPARE.run(given(folder / "in", variants), out, CompareConfig(baseline=next(iter(variants))))
    return read_parquet(str(out / "comparison.parquet"))


def test_only_a_difference_that_leaves_zero_out_is_ranked(tmp_path: Path) -> None:
    table = compared(
        tmp_path,
        {
            "all filters": [(1.00, 0.50), (1.10, 0.52), (1.20, 0.48)],
            "without c4": [(1.10, 0.50), (1.21, 0.55), (1.29, 0.44)],
            "without dedup": [(0.90, 0.70), (1.01, 0.71), (1.09, 0.69)],
        },
    )
    verdicts = {(row["variant"], row["measure"]): row["verdict"] for row in table.iter_rows(named=True)}
    assert verdicts == {
        ("all filters", "bits_per_byte"): "baseline",
        ("all filters", "cloze_accuracy"): "baseline",
        ("without c4", "bits_per_byte"): "worse",
        ("without c4", "cloze_accuracy"): "undecided",
        ("without dedup", "bits_per_byte"): "better",
        ("without dedup", "cloze_accuracy"): "better",
    }
    assert set(table["epochs"]) == {2.5}
    assert set(table["train_tokens"]) == {100}
    report = (tmp_path / "out" / "report.md").read_text()
    assert "Better than `all filters`: `without dedup` on" in report
    assert "Worse than `all filters`: `without c4` on all text (+0.1000)" in report
    assert "without dedup" in (tmp_path / "out" / "comparison.svg").read_text()


def test_one_seed_has_no_interval_and_no_verdict(tmp_path: Path) -> None:
    table = compared(tmp_path, {"a": [(1.0, 0.5)], "b": [(9.0, 0.1)]})
    assert table["low"].null_count() == table.height
    assert set(table["verdict"]) == {"baseline", "undecided"}
    assert "nothing is ranked" in (tmp_path / "out" / "report.md").read_text()


def test_the_interval_is_that_of_a_paired_t_test() -> None:
    ours, theirs = np.array([1.0, 1.4, 0.9, 1.3]), np.array([0.8, 1.0, 0.9, 1.0])
    expected = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    mean, low, high = interval(ours - theirs)
    assert (mean, low, high) == pytest.approx((0.225, expected.low, expected.high))


def test_a_baseline_that_is_no_variant_is_refused(tmp_path: Path) -> None:
    inputs = given(tmp_path / "in", {"a": [(1.0, 0.5)], "b": [(2.0, 0.5)]})
    with pytest.raises(Problem, match="the baseline is 'c'; expected one of a, b"):
        COMPARE.run(inputs, tmp_path, CompareConfig(baseline="c"))
