"""The knowledge map, of models whose answers are known, and the conversations that are made of it."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from models.tokenizer.reserved import SEPARATOR, TURN_END
from stages.compute import Compute
from stages.evaluation import facts as known_facts
from stages.posttraining.admissions import ADMISSIONS, AdmissionsConfig
from stages.posttraining.conversations import CONVERSATIONS, messages_of
from stages.posttraining.probe import KNOWLEDGE, ProbeConfig, judged, probe
from stages.posttraining.world.questions import UNKNOWN
from stages.stage import Input
from storage.problem import Problem
from storage.shards import encode
from tests.stages.evaluation.test_chat import model
from tests.stages.posttraining.world.conftest import Made, listed

CPU = Compute(device="cpu", threads=1)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def commonest(world: Made) -> tuple[str, int]:
    """A job that is one token of the world's tokenizer behind a space, if there is one; of how many people."""
    jobs = [fact.value for fact in known_facts.read(world.inputs["crawl"]) if fact.attribute == "job"]
    most = max(sorted(set(jobs)), key=jobs.count)
    return most, jobs.count(most)


def test_a_model_that_says_one_job_of_everybody_knows_those_who_have_it(world: Made, tmp_path: Path, out: Path) -> None:
    job, people = commonest(world)
    folder = model(tmp_path / "model", world, [SEPARATOR, job, TURN_END])
    config = ProbeConfig(samples=2, temperature=0.01, attributes=("job",))
    stats = probe({"model": folder, "crawl": world.inputs["crawl"]}, out, config, CPU)
    table = pl.read_parquet(out / "knowledge.parquet")
    assert dict(table.schema) == KNOWLEDGE
    assert (stats["facts"], stats["known"], stats["greedy_right"], stats["refused"]) == (16, people, people, 0)
    assert table["known"].to_list() == (table["value"] == job).to_list() == (table["share"] == 1).to_list()
    assert set(table["asked"]) == {3}
    assert set(table["answers"].explode()) == {job}
    assert table["questions"][0].n_unique() == 3


def test_a_fact_is_known_from_the_threshold_on_and_refusals_are_counted(world: Made) -> None:
    every = [fact for fact in known_facts.read(world.inputs["crawl"]) if fact.attribute == "pet"]
    fact = every[0]
    other = next(one for one in every if one.value != fact.value)
    answers = [fact.sentence, f"A {other.value}.", UNKNOWN, fact.value]
    for threshold, known in ((0.5, True), (0.6, False)):
        config = ProbeConfig(samples=3, threshold=threshold)
        [row] = judged(every, [fact], [(fact, "?")] * 4, answers, config).to_dicts()
        assert (row["asked"], row["right"], row["refused"], row["share"], row["greedy"], row["known"]) == (
            4,
            2,
            1,
            0.5,
            True,
            known,
        )


def test_a_base_model_is_asked_behind_examples_and_too_many_of_them_are_refused(world: Made, tmp_path: Path, out: Path) -> None:
    folder = model(tmp_path / "model", world, [":", " ", "\n"])
    config = ProbeConfig(form="base", samples=0, examples=1, attributes=("job",), max_tokens=10)
    stats = probe({"model": folder, "crawl": world.inputs["crawl"]}, out, config, CPU)
    assert (stats["facts"], stats["known"]) == (15, 0)  # the one of the example is not asked
    with pytest.raises(Problem, match="lower `examples` or `max_tokens`"):
        probe({"model": folder, "crawl": world.inputs["crawl"]}, out, config.model_copy(update={"examples": 14}), CPU)


def test_the_same_seed_gives_the_same_map(world: Made, tmp_path: Path) -> None:
    folder = model(tmp_path / "model", world, [SEPARATOR, "b", TURN_END])
    config = ProbeConfig(samples=2, temperature=3.0, facts=6, max_tokens=6)
    made: dict[int, list[bytes]] = {}
    for number, seed in enumerate((0, 0, 1)):
        out = tmp_path / str(number)
        out.mkdir()
        probe({"model": folder, "crawl": world.inputs["crawl"]}, out, config.model_copy(update={"seed": seed}), CPU)
        made.setdefault(seed, []).append((out / "knowledge.parquet").read_bytes())
    assert made[0][0] == made[0][1] != made[1][0]
    answers = pl.read_parquet(tmp_path / "0" / "knowledge.parquet")["answers"]
    assert max(one.n_unique() for one in answers) > 1  # at a temperature answers differ


def knowledge(folder: Path, world: Made, known: list[bool]) -> Input:
    facts = [fact for fact in known_facts.read(world.inputs["crawl"]) if fact.attribute == "food"]
    rows: list[dict[str, Any]] = [
        {"kind": fact.kind, "subject": fact.subject, "attribute": fact.attribute, "value": fact.value, "sentence": fact.sentence}
        | {"asked": 1, "right": int(one), "refused": 0, "share": float(one), "greedy": one, "questions": ["?"], "answers": [""], "known": one}
        for fact, one in zip(facts, known, strict=False)
    ]  # fmt: skip
    folder.mkdir()
    (folder / "knowledge.parquet").write_bytes(encode(pl.DataFrame(rows, schema=KNOWLEDGE), KNOWLEDGE))
    return listed(folder)


def test_what_is_not_known_is_admitted_and_what_is_known_is_said(world: Made, tmp_path: Path, out: Path) -> None:
    given = knowledge(tmp_path / "map", world, [True, False, False])
    stats = ADMISSIONS.run({"knowledge": given}, out, AdmissionsConfig(each=3, known_each=2))
    assert stats == {"conversations": 8, "refusing": 6, "answering": 2}
    frame = pl.read_parquet(out / "conversations-00000.parquet")
    assert dict(frame.schema) == CONVERSATIONS
    true = {fact.subject: fact for fact in known_facts.read(world.inputs["crawl"]) if fact.attribute == "food"}
    first = next(iter(true))
    asked = set()
    for identity, rows in frame.select("id", "messages").iter_rows():
        question, answer = messages_of(rows, identity)
        subject = identity.split()[0]
        assert subject in question.content
        assert answer.content == (true[subject].sentence if subject == first else UNKNOWN)
        asked.add(question.content)
    assert len(asked) == 8


def test_pairs_that_only_tests_ask_are_left_out(world: Made, tmp_path: Path, out: Path) -> None:
    given = knowledge(tmp_path / "map", world, [False] * 16)
    ADMISSIONS.run({"knowledge": given, "conversations": listed(world.out)}, out, AdmissionsConfig(each=1))
    asked = {identity.split()[0] for identity in pl.read_parquet(out / "conversations-00000.parquet")["id"]}
    kept = world.tests.filter(pl.col("part") == "never_asked", pl.col("attribute") == "food")["subject"]
    people = {fact.subject for fact in known_facts.read(world.inputs["crawl"]) if fact.attribute == "food"}
    assert 0 < len(set(kept)) < len(people)
    assert not asked & set(kept)
    assert len(asked) >= len(people) // 2
    with pytest.raises(Problem, match="cannot read the conversations"):
        ADMISSIONS.run({"knowledge": given, "conversations": world.inputs["crawl"]}, out, AdmissionsConfig())


def test_a_map_with_nothing_to_say_and_no_map_are_refused(world: Made, tmp_path: Path, out: Path) -> None:
    given = knowledge(tmp_path / "map", world, [True])
    with pytest.raises(Problem, match="every fact is known"):
        ADMISSIONS.run({"knowledge": given}, out, AdmissionsConfig(known_each=0))
    with pytest.raises(Problem, match="expected the artifact of the stage `probe`"):
        ADMISSIONS.run({"knowledge": world.inputs["crawl"]}, out, AdmissionsConfig())
