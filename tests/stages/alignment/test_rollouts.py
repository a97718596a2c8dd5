"""Rollouts: what a row tells, that it can be computed again from the model, and that killed ones go on."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from models.alignment.logprobs import token_logprobs
from models.alignment.preference import Answer, answers
from models.formats.pretrained import load_model
from models.tokenizer.load import load
from stages.alignment import rollouts as module
from stages.alignment.prompts import Selection, prompts
from stages.alignment.rollout import ROLLOUT
from stages.alignment.rollouts import ROLLOUTS, RolloutsConfig, work
from stages.compute import Compute
from stages.stage import Input
from storage.problem import Problem

SETTINGS: dict[str, Any] = {"samples": 3, "tokens": 12, "temperature": 0.8, "rows": 8, "select": Selection(split="test")}


def rolled(policy: Input, problems: Input, out: Path, **settings: Any) -> tuple[dict[str, Any], pl.DataFrame]:
    out.mkdir(exist_ok=True)
    told = work({"model": policy, "prompts": problems}, out, RolloutsConfig(**(SETTINGS | settings)), Compute(threads=1))
    return told, pl.concat(pl.read_parquet(path) for path in sorted(out.glob("rollouts-*.parquet")))


def test_a_row_tells_what_was_drawn_and_the_model_gives_it_the_same_probability(
    policy: Input, problems: Input, tmp_path: Path
) -> None:
    told, rows = rolled(policy, problems, tmp_path)
    assert dict(rows.schema) == ROLLOUT
    assert told["rollouts"] == rows.height == 36
    assert rows["sample"].to_list()[:4] == [0, 1, 2, 0]
    assert rows["seed"].n_unique() == 36
    assert set(rows["finish_reason"]) <= {"stop", "length"}
    assert rows["tokens"].list.len().max() == 12
    assert told["tokens"] == rows["tokens"].list.len().sum()
    model = load_model(policy.folder)
    batch = answers([Answer(row["prompt_tokens"], row["tokens"]) for row in rows.iter_rows(named=True)])
    with torch.no_grad():
        found = token_logprobs(model.hidden(batch.tokens), model.output_weight, batch.targets, 0.8)
    drawn = torch.tensor([value for row in rows["logprobs"] for value in row])
    torch.testing.assert_close(found[batch.targets >= 0], drawn, atol=1e-4, rtol=0)


def test_what_was_done_before_a_kill_is_kept_and_the_end_is_the_same(
    policy: Input, problems: Input, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PART", 5)
    rolled(policy, problems, tmp_path / "whole")
    out = tmp_path / "killed"
    rolled(policy, problems, out)
    names = sorted(path.name for path in out.glob("*.parquet"))
    assert len(names) == 3
    for name in names:  # as a whole stage finds its folder again: outputs gone, the last part never begun
        (out / name).unlink()
    (out / ".rollouts" / names[2]).unlink()
    kept = {name: (out / ".rollouts" / name).stat().st_mtime_ns for name in names[:2]}
    rolled(policy, problems, out)
    assert {name: (out / ".rollouts" / name).stat().st_mtime_ns for name in names[:2]} == kept
    assert [(out / name).read_bytes() for name in names] == [(tmp_path / "whole" / name).read_bytes() for name in names]


def test_prompts_are_selected_and_what_follows_the_question_is_not_shown(policy: Input, problems: Input) -> None:
    tokenizer = load(policy.folder)
    paths = problems.shards
    some = prompts(paths, Selection(split="train", kinds=("arithmetic",), parts=("2 steps",), count=7), tokenizer, 95)
    assert len(some) == 7
    assert {one.columns["part"] for one in some} == {"2 steps"}
    assert all(len(one.messages) == 1 and one.text.startswith("What is ") for one in some)
    short = min(len(one.tokens) for one in prompts(paths, Selection(), tokenizer, 95))
    assert {len(one.tokens) for one in prompts(paths, Selection(), tokenizer, short)} == {short}
    with pytest.raises(Problem, match=r"none of the rows in test-00000.parquet, train-00000.parquet can be asked"):
        prompts(paths, Selection(parts=("9 steps",)), tokenizer, 95)


@pytest.mark.slow
def test_as_a_job_they_are_the_same(policy: Input, problems: Input, tmp_path: Path) -> None:
    told, rows = rolled(policy, problems, tmp_path / "here")
    out = tmp_path / "job"
    out.mkdir()
    given = {"model": policy, "prompts": problems, "compute": {"threads": "1", "device": "cpu"}}
    assert ROLLOUTS.run(given, out, RolloutsConfig(**SETTINGS)) == told
    assert pl.read_parquet(out / "rollouts-00000.parquet").equals(rows)
