"""Battles between models: who wins, how sure that is, and the same models give the same leaderboard."""

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from models.alignment.reward import RewardModel, save_head
from models.formats.pretrained import load_model
from models.tokenizer.load import load
from stages.alignment.arena import ANSWERS, ARENA, ArenaConfig
from stages.alignment.arena_report import arena_report
from stages.alignment.battles import BATTLES, LEADERBOARD, battles, judged, leaderboard
from stages.stage import Input
from storage.problem import Problem
from tests.stages.posttraining import sft_worlds
from tests.stages.posttraining.world.conftest import Made, world

__all__ = ["world"]


def answers(scores: dict[str, list[float]]) -> pl.DataFrame:
    rows = [(name, str(number), score, [1] * 3) for name, several in scores.items() for number, score in enumerate(several)]
    return pl.DataFrame(
        rows, schema={"model": pl.String(), "id": pl.String(), "score": pl.Float64(), "tokens": pl.List(pl.Int64())}, orient="row"
    )


def test_scores_decide_battles_and_near_ones_are_ties() -> None:
    given = answers({"a": [1.0, 0.0, 0.5], "b": [0.0, 0.2, 0.5]})
    found = battles(given, ["a", "b"], 0.0)
    assert dict(found.schema) == BATTLES
    assert found["winner"].to_list() == ["a", "b", None]
    assert battles(given, ["a", "b"], 0.3)["winner"].to_list() == ["a", None, None]


def test_ratings_follow_wins_and_intervals_hold_them_and_shrink_with_more_prompts() -> None:
    pattern = {"best": [1.0, 1.0, 1.0, 0.0], "middle": [0.0, 0.5, 0.5, 0.5], "worst": [0.1, 0.0, 0.0, 0.2]}
    widths = []
    for times in (10, 100):
        given = answers({name: scores * times for name, scores in pattern.items()})
        fought = battles(given, list(pattern), 0.0)
        board = leaderboard(given, fought, list(pattern), 200, seed=0)
        assert dict(board.schema) == LEADERBOARD
        assert board["model"].to_list() == ["best", "middle", "worst"]
        assert board["rating"].mean() == pytest.approx(1000)
        assert bool(((board["low"] < board["rating"]) & (board["rating"] < board["high"])).all())
        assert (board["wins"] + board["losses"] + board["ties"]).to_list() == board["battles"].to_list() == [8 * times] * 3
        widths.append((board["high"] - board["low"]).to_list())
        assert board.equals(leaderboard(given, fought, list(pattern), 200, seed=0))
    assert all(narrow < wide / 2 for wide, narrow in zip(*widths, strict=True))
    text = arena_report(board, fought, "rubric")
    assert "| best | middle | 0.750 [" in text
    assert "400 prompts, 1,200 battles, of which 1,200 decided" in text


def judgement(item: int, who: str, models: list[str], ranks: list[int]) -> dict[str, Any]:
    return {"item": f"{item}", "annotator": who, "answers": [[]] * len(ranks), "models": models, "ranks": ranks}


def test_people_compare_models_by_the_ranks_they_give() -> None:
    rows = [judgement(0, "Ann", ["b", "a", "c"], [1, 2, 2]), judgement(1, "Ann", ["a", "a"], [1, 2])]
    assert judged(rows).select("id", "one", "other", "winner").rows() == [
        ("0", "a", "b", "b"), ("0", "b", "c", "b"), ("0", "a", "c", None),
    ]  # fmt: skip


@pytest.mark.slow
def test_what_people_judged_becomes_a_leaderboard(tmp_path: Path) -> None:
    lines = [judgement(number, "Ann", ["sft", "dpo"], [2, 1] if number % 4 else [1, 1]) for number in range(12)]
    lines.append(judgement(1, "Ann", ["sft", "dpo"], [1, 2]))  # judged again
    (tmp_path / "judged.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"item": "cut of')
    out = tmp_path / "out"
    out.mkdir()
    compute = {"threads": "1", "device": "cpu"}
    given = {"judgements": tmp_path / "judged.jsonl", "compute": compute}
    figures = ARENA.run(given, out, ArenaConfig(judge="person", bootstrap=50))
    board = pl.read_parquet(out / "leaderboard.parquet")
    assert dict(board.schema) == LEADERBOARD
    assert board.select("model", "wins", "losses", "ties", "score").rows() == [("dpo", 8, 1, 3, None), ("sft", 1, 8, 3, None)]
    assert (figures["best"], figures["battles"]) == ("dpo", 12)
    (tmp_path / "other.jsonl").write_text(json.dumps(judgement(0, "Ann", [], [1, 2])))
    with pytest.raises(Problem, match="expected judgements of the answers of an arena"):
        ARENA.run(given | {"judgements": tmp_path / "other.jsonl"}, out, ArenaConfig(judge="person"))


@pytest.fixture(scope="module")
def models(world: Made, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Input]:
    folder = tmp_path_factory.mktemp("models")
    tokenizer = sft_worlds.listed(world.inputs["tokenizer"].folder)
    return {name: sft_worlds.model(folder / name, tokenizer, seed) for seed, name in enumerate(("one", "other"))}


def arena(
    world: Made, models: dict[str, Input], out: Path, more: dict[str, Any] | None = None, **settings: Any
) -> dict[str, Any]:
    out.mkdir(exist_ok=True)
    names = ("conversations-00000.parquet", "tests-00000.parquet")
    given = {"prompts": Input(world.out, names), "compute": {"threads": "1", "device": "cpu"}, **models, **(more or {})}
    config = {"tokens": 8, "rows": 16, "bootstrap": 20} | settings
    found: dict[str, Any] = ARENA.run(given, out, ArenaConfig(**config))
    return found


def test_models_answer_the_same_prompts_and_a_judge_who_knows_decides(
    world: Made, models: dict[str, Input], tmp_path: Path
) -> None:
    crawl = {"crawl": world.inputs["crawl"]}
    figures = arena(world, models, tmp_path / "out", crawl)
    found = pl.read_parquet(tmp_path / "out" / "answers.parquet")
    assert dict(found.schema) == ANSWERS
    asked = found.group_by("model").agg(pl.col("id").sort())["id"]
    assert asked[0].to_list() == asked[1].to_list()
    assert set(found["kind"]) == {"fact", "unknown"}
    assert figures["prompts"] == figures["battles"] == found.height // 2
    assert (tmp_path / "out" / "report.md").read_text().startswith("# Arena")


@pytest.mark.slow
def test_a_reward_model_judges_and_what_was_answered_is_kept(world: Made, models: dict[str, Input], tmp_path: Path) -> None:
    judge = tmp_path / "judge"
    shutil.copytree(models["one"].folder, judge)
    reward = RewardModel(load_model(judge))
    reward.head.weight.data.normal_()
    save_head(reward, judge)
    out = tmp_path / "out"
    with pytest.raises(Problem, match="the judge reward needs the input `reward`"):
        arena(world, models, out, judge="reward")
    given = {"reward": sft_worlds.listed(judge)}
    arena(world, models, out, given, judge="reward")
    first = {
        name: (out / name).read_bytes() for name in ("leaderboard.parquet", "answers.parquet", "battles.parquet", "report.md")
    }
    marked = pl.read_parquet(out / ".answers" / "one.parquet").with_columns(score=pl.lit(99.0))
    marked.write_parquet(out / ".answers" / "one.parquet")
    assert arena(world, models, out, given, judge="reward")["best"] == "one"  # what is done is not done again
    (out / ".answers" / "one.parquet").unlink()
    arena(world, models, out, given, judge="reward")
    assert first == {name: (out / name).read_bytes() for name in first}
    other = sft_worlds.tokenizer(tmp_path / "tokenizer")
    foreign = {"foreign": sft_worlds.model(tmp_path / "foreign", other), "one": models["one"]}
    assert load(other.folder).size != load(judge).size
    with pytest.raises(Problem, match="another tokenizer than a competitor"):
        arena(world, foreign, tmp_path / "apart", given, judge="reward")


def test_an_arena_needs_two_and_a_judge(world: Made, models: dict[str, Input], tmp_path: Path) -> None:
    with pytest.raises(Problem, match="one is in the arena; expected two models or more"):
        arena(world, {"one": models["one"]}, tmp_path / "alone", {"crawl": world.inputs["crawl"]})
    with pytest.raises(ValidationError):
        ArenaConfig(judge="nobody")  # type: ignore[arg-type]
