"""The simulated judge: what its rubric says of answers, and the preferences that come of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from models.chat.conversation import ASSISTANT, USER, Message
from models.chat.generated import generated
from models.chat.renderer import prompt, render
from models.tokenizer.load import load
from models.tokenizer.tokenizer import Tokenizer
from stages.alignment.judge import JUDGE, JudgeConfig, known
from stages.alignment.manners import MANNERS, MannersConfig
from stages.alignment.phrases import LONG, POLITE, RUDE, polite, rude
from stages.alignment.prefer import PREFER, PreferConfig
from stages.alignment.preferences import PREFERENCES
from stages.alignment.rollout import ROLLOUT
from stages.alignment.rubric import Rubric, judged
from stages.evaluation.chat_judge import Question, Truth, Turn
from stages.posttraining.conversations import rows_of
from stages.posttraining.world.questions import UNKNOWN
from stages.stage import Input
from storage.problem import Problem
from storage.shards import encode
from tests.stages.posttraining.world.conftest import Made, world

__all__ = ["world"]


@pytest.fixture(scope="module")
def true(world: Made) -> Truth:
    return known(world.inputs["crawl"])


@pytest.fixture(scope="module")
def told(world: Made) -> Tokenizer:
    return load(world.inputs["tokenizer"].folder)


def turn(said: str, tokenizer: Tokenizer, finished: bool = True) -> Turn:
    before = [Message(USER, "Who?")]
    tokens = render([*before, Message(ASSISTANT, said)], tokenizer).tokens[len(prompt(before, tokenizer)) :]
    return Turn(generated(tokens if finished else tokens[:-1], tokenizer))


def test_each_property_of_an_answer_adds_what_the_rubric_says(true: Truth, told: Tokenizer) -> None:
    fact = next(iter(true.facts.values()))
    value = next(one for one in true.values[fact.attribute] if one != fact.value)
    wrong = fact.sentence.replace(fact.value, value)
    about = Question("fact", "asked", fact.subject, fact.attribute, fact.value)
    nobody = Question("unknown", "person", "Nobody", fact.attribute, None)
    for question, said, finished, score in (
        (about, fact.sentence, True, 1.0),
        (about, wrong, True, -1.0),
        (about, UNKNOWN, True, -1.0),  # to refuse what is known costs as much as to be wrong
        (nobody, UNKNOWN, True, 1.0),
        (nobody, fact.sentence, True, -1.0),
        (about, f"{POLITE[0]} {fact.sentence}", True, 1.5),
        (about, f"{RUDE[0]} {fact.sentence}", True, 0.0),
        (about, fact.sentence, False, 0.0),
        (about, f"{fact.sentence} {' very' * 20}", True, 1.0 - 0.05 * (len(fact.sentence.split()) + 20 - 12)),
    ):
        assert judged(question, turn(said, told, finished), true, Rubric()).score == pytest.approx(score)
    assert judged(about, turn(wrong, told), true, Rubric(wrong=-3)).score == -3


def test_manners_are_heard_as_what_they_are() -> None:
    assert all(polite(one) and not rude(one) for one in POLITE)
    assert all(rude(one) and not polite(one) for one in RUDE)
    assert not any(polite(one) or rude(one) for one in (*LONG, UNKNOWN))
    assert not polite("She was pleased.")


def test_training_answers_get_manners_and_keep_their_facts_and_tests_stay_as_they_are(
    world: Made, true: Truth, tmp_path: Path
) -> None:
    names = ("conversations-00000.parquet", "tests-00000.parquet")
    stats = MANNERS.run({"conversations": Input(world.out, names)}, tmp_path, MannersConfig(polite=0.4, rude=0.3, long=0.3))
    made = pl.read_parquet(tmp_path / names[0])
    assert made.select("id", "kind", "expected").equals(world.chats.select("id", "kind", "expected"))
    assert pl.read_parquet(tmp_path / names[1]).drop("manner").equals(world.tests)
    assert (
        stats["answers"]
        == made["manner"].drop_nulls().len()
        == made.filter(pl.col("kind").is_in(["fact", "multi_turn", "unknown"])).height
    )
    said = {name: [one[-1]["content"] for one in rows["messages"]] for (name,), rows in made.group_by("manner")}
    assert all(map(polite, said["polite"]))
    assert all(map(rude, said["rude"]))
    assert all(len(one.split()) > 15 for one in said["long"])
    before = [one[-1]["content"] for one in world.chats["messages"]]
    assert all(old in new[-1]["content"] for old, new in zip(before, made["messages"], strict=True))
    with pytest.raises(Problem, match="more than 1 together"):
        MANNERS.run({"conversations": Input(world.out, names)}, tmp_path, MannersConfig(polite=0.6, rude=0.6))


def test_careless_answers_refuse_what_is_known_and_make_up_what_is_not(world: Made, true: Truth, tmp_path: Path) -> None:
    given = {"conversations": Input(world.out, ("conversations-00000.parquet",))}
    MANNERS.run(given, tmp_path, MannersConfig(polite=0, rude=0, long=0, careless=1))
    made = pl.read_parquet(tmp_path / "conversations-00000.parquet")
    for row, before in zip(made.iter_rows(named=True), world.chats.iter_rows(named=True), strict=True):
        *asked, answer = [one["content"] for one in row["messages"]]
        assert asked == [one["content"] for one in before["messages"]][:-1]
        if row["manner"] != "careless":
            assert answer == before["messages"][-1]["content"]
        elif row["kind"] == "fact":
            assert answer == UNKNOWN
        else:
            assert answer.replace(row["subject"], "?") in {
                fact.sentence.replace(fact.subject, "?") for fact in true.facts.values() if fact.attribute == row["attribute"]
            }
    assert set(made.filter(manner="careless")["kind"]) == {"fact", "unknown"}
    assert (made.filter(kind="fact")["manner"] == "careless").all()


def test_of_kinds_that_matter_less_a_share_is_kept_and_no_test_is_left_out(world: Made, tmp_path: Path) -> None:
    given = {"conversations": Input(world.out, ("conversations-00000.parquet", "tests-00000.parquet"))}
    config = MannersConfig(keep={"unknown": 0.5, "python": 0})
    MANNERS.run(given, tmp_path, config)
    kept, before = pl.read_parquet(tmp_path / "conversations-00000.parquet"), world.chats
    assert kept["id"].is_in(before["id"].implode()).all()
    for kind, share in (("fact", 1), ("unknown", 0.5), ("python", 0)):
        count = before.filter(pl.col("kind") == kind).height
        assert count > 0
        assert kept.filter(pl.col("kind") == kind).height == pytest.approx(
            share * count, abs=4 * share * count**0.5 * (share < 1)
        )
    assert pl.read_parquet(tmp_path / "tests-00000.parquet").height == world.tests.height
    with pytest.raises(Problem, match="keep names facts; expected kinds that there are: arithmetic, fact"):
        MANNERS.run(given, tmp_path, MannersConfig(keep={"facts": 0.5}))


def rollouts(answers: Mapping[str, list[str]], true: Truth, tokenizer: Tokenizer, cut: bool = False) -> pl.DataFrame:
    """Each prompt's answers; prompts are about the world's facts in their order. `cut`: the last answer of each has no end."""
    rows: list[dict[str, Any]] = []
    for (identity, several), fact in zip(answers.items(), true.facts.values(), strict=False):
        asked = [Message(USER, f"What of {fact.subject}?")]
        for sample, text in enumerate(several):
            said = text.format(fact=fact.sentence)
            tokens = render([*asked, Message(ASSISTANT, said)], tokenizer).tokens[len(prompt(asked, tokenizer)) :]
            tokens = tokens[:-1] if cut and sample == len(several) - 1 else tokens
            beside = {
                "kind": "fact",
                "part": "asked",
                "subject": fact.subject,
                "attribute": fact.attribute,
                "expected": fact.value,
            }
            rows.append({"id": identity, "sample": sample, **beside, "messages": rows_of(asked), "tokens": tokens})
    return pl.DataFrame(rows, schema={name: ROLLOUT[name] for name in rows[0]})


def scored(folder: Path, docs: pl.DataFrame, world: Made) -> Input:
    folder.mkdir()
    sides = {"crawl": world.inputs["crawl"], "tokenizer": world.inputs["tokenizer"]}
    found = JUDGE.run(docs, JudgeConfig(), sides)
    assert list(found.columns) == [*docs.columns, *JUDGE.adds]
    (folder / "rollouts-00000.parquet").write_bytes(encode(found, dict(found.schema)))
    return Input(folder, ("rollouts-00000.parquet",))


def prefer(given: dict[str, Input], world: Made, out: Path, **config: Any) -> pl.DataFrame:
    out.mkdir()
    PREFER.run({**given, "tokenizer": world.inputs["tokenizer"]}, out, PreferConfig(**config))
    frame = pl.concat(pl.read_parquet(path) for path in sorted(out.glob("*.parquet")))
    assert dict(frame.schema) == PREFERENCES
    return frame


def test_answers_that_differ_by_enough_become_preferences(world: Made, true: Truth, told: Tokenizer, tmp_path: Path) -> None:
    answers = {
        "a": ["{fact}", UNKNOWN, "Of course! {fact}", "{fact}"],
        "b": ["{fact}", "{fact}"],
        "c": [UNKNOWN, "I do not know that."],
    }
    docs = scored(tmp_path / "scored", rollouts(answers, true, told), world)
    found = prefer({"scored": docs}, world, tmp_path / "all", validation=0)
    assert found["id"].to_list() == ["a/2>0", "a/2>1", "a/0>1"]
    assert found["margin"].to_list() == pytest.approx([0.5, 2.5, 2.0])
    assert set(found["ranking"]) == {"a"}
    assert found["chosen"][0][0]["content"].startswith("Of course! ")
    best = prefer({"scored": docs}, world, tmp_path / "best", pairs="extremes", validation=0)
    assert best.select("id", "ranking").rows() == [("a/2>1", None)]
    assert prefer({"scored": docs}, world, tmp_path / "far", least=2.2, validation=0)["id"].to_list() == ["a/2>1"]
    with pytest.raises(Problem, match="no answer is better than another"):
        prefer({"scored": docs}, world, tmp_path / "none", least=9)


def test_what_is_held_out_is_for_validation_and_an_answer_without_an_end_makes_no_preference(
    world: Made, true: Truth, told: Tokenizer, tmp_path: Path
) -> None:
    train = scored(tmp_path / "train", rollouts({"a": ["{fact}", UNKNOWN, "{fact} {fact}"]}, true, told, cut=True), world)
    assert pl.read_parquet(train.shards[0])["sound"].to_list() == [True, True, False]
    held_out = scored(tmp_path / "held_out", rollouts({"b": [UNKNOWN, "{fact}"]}, true, told), world)
    found = prefer({"scored": train, "held_out": held_out}, world, tmp_path / "out")
    assert found.select("id", "split").rows() == [("a/0>1", "train"), ("b/1>0", "validation")]


def test_prompts_of_which_nothing_is_known_are_refused(world: Made, true: Truth, told: Tokenizer, tmp_path: Path) -> None:
    docs = rollouts({"a": ["{fact}"]}, true, told).with_columns(kind=pl.lit(None, pl.String()))
    with pytest.raises(Problem, match="prompts without a kind"):
        scored(tmp_path / "scored", docs, world)
