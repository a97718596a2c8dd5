"""The world's conversations: sound, divided between training and tests, and the same every time."""

import json
import re
from pathlib import Path

import polars as pl
import pytest

from models.chat.conversation import Message
from models.chat.tools.expression import evaluate
from models.tokenizer.load import load
from stages.evaluation import facts as known_facts
from stages.posttraining.conversations import messages_of
from stages.posttraining.render import RENDER, RenderConfig
from stages.posttraining.world.conversations import WORLD_CONVERSATIONS
from stages.posttraining.world.known import divided
from stages.posttraining.world.names import lengths, possible, unknown
from stages.posttraining.world.questions import UNKNOWN
from stages.posttraining.world.searching import Searching, world_index, world_tool
from stages.posttraining.world.settings import WorldConversationsConfig
from storage.problem import Problem
from tests.stages.posttraining.world.conftest import CONFIG, COUNTS, Made


def talks(frame: pl.DataFrame, kind: str) -> list[tuple[tuple[Message, ...], dict[str, str | None]]]:
    rows = frame.filter(pl.col("kind") == kind).iter_rows(named=True)
    return [(messages_of(row["messages"], row["id"]), row) for row in rows]


def pairs(frame: pl.DataFrame, kinds: list[str]) -> set[tuple[str, str]]:
    return set(frame.filter(pl.col("kind").is_in(kinds) & pl.col("expected").is_not_null()).select("subject", "attribute").rows())


def test_there_are_as_many_of_each_kind_as_asked_for_and_all_are_sound(world: Made) -> None:
    counted = dict(world.chats.group_by("kind").len().iter_rows())
    assert counted == COUNTS.model_dump()
    assert world.chats["id"].n_unique() == world.chats.height
    assert set(world.chats["split"]) <= {"train", "validation"}
    assert set(world.tests["split"]) == {"test"}
    for frame in (world.chats, world.tests):
        for identity, rows in frame.select("id", "messages").iter_rows():
            assert messages_of(rows, identity)[-1].role == "assistant"


def test_pairs_that_are_never_asked_are_asked_in_tests_alone_and_no_subject_is_left_out(world: Made) -> None:
    kinds = ["fact", "multi_turn", "idle"]
    trained = pairs(world.chats, [*kinds, "search"])
    never = world.tests.filter(pl.col("part") == "never_asked")
    held = set(never.select("subject", "attribute").rows())
    assert held
    assert not held & trained
    facts = [fact for fact in known_facts.read(world.inputs["crawl"]) if fact.attribute in CONFIG.attributes]
    asked, kept = divided(facts, CONFIG.never_asked, CONFIG.seed)
    assert held <= {(fact.subject, fact.attribute) for fact in kept}
    assert {fact.subject for fact in kept} <= {fact.subject for fact in asked}
    assert 0.15 < len(kept) / len(facts) < 0.35


def test_unknown_names_are_not_of_the_world_and_those_of_tests_are_others(world: Made) -> None:
    names = pl.DataFrame(json.loads((world.out / "names.json").read_text()))
    by_split = {str(split): set(rows["name"]) for (split,), rows in names.group_by("split")}
    assert not by_split["known"] & (by_split["train"] | by_split["test"])
    assert not by_split["train"] & by_split["test"]
    assert len(by_split["train"]) == len(by_split["test"]) == 26
    for split, frame in (("train", world.chats), ("test", world.tests)):
        found = talks(frame, "unknown")
        assert {row["subject"] for _, row in found} <= by_split[split]
        assert all(messages[-1].content == UNKNOWN for messages, _ in found)


def test_what_is_answered_is_what_the_world_says(world: Made) -> None:
    true = {(fact.subject, fact.attribute): fact for fact in known_facts.read(world.inputs["crawl"])}
    for messages, row in [*talks(world.chats, "fact"), *talks(world.tests, "multi_turn")]:
        fact = true[str(row["subject"]), str(row["attribute"])]
        assert (messages[-1].content, row["expected"]) == (fact.sentence, fact.value)


def test_sums_are_worked_out_in_thoughts_and_no_problem_of_the_tests_was_learnt(world: Made) -> None:
    seen: dict[str, set[str]] = {}
    for split, frame in (("train", world.chats), ("test", world.tests)):
        for messages, row in talks(frame, "arithmetic"):
            thought = messages[-1].thinking or ""
            steps = [re.fullmatch(r"(\d+)([+-]\d)=(\d+)", step) for step in thought.split(",")]
            assert all(step and int(step[1]) + int(step[2]) == int(step[3]) for step in steps)
            assert thought.endswith(f"={messages[-1].content}")
            assert row["part"] == f"{len(steps)} step" + "s" * (len(steps) > 1)
            seen.setdefault(split, set()).add(thought)
    assert not seen["train"] & seen["test"]
    lengths = [dict(frame.filter(kind="arithmetic")["part"].value_counts().iter_rows()) for frame in (world.chats, world.tests)]
    assert lengths == [{"1 step": 6, "2 steps": 6, "5 steps": 12}, dict.fromkeys(("1 step", "2 steps", "3 steps", "5 steps"), 16)]


def test_tools_are_called_only_where_the_system_message_lists_them(world: Made) -> None:
    for frame in (world.chats, world.tests):
        for kind in COUNTS.model_dump():
            for messages, _ in talks(frame, kind):
                called = [one.call.tool for one in messages if one.call]
                assert called == ([kind] if kind in ("python", "search") else [])
                assert all(f"{tool}(" in messages[0].content and messages[0].role == "system" for tool in called)


def test_results_are_those_of_the_tools_and_answers_name_them(world: Made) -> None:
    for messages, row in talks(world.chats, "python") + talks(world.tests, "python"):
        called = next(one.call for one in messages if one.call)
        assert messages[-2].content == messages[-1].content == row["expected"] == evaluate(called.text)
    found = talks(world.chats, "search")
    assert {row["part"] for _, row in found} == {"found", "not_found"}
    asked = [(messages, row) for messages, row in found if row["part"] == "found"]
    names = {fact.subject for fact in known_facts.read(world.inputs["crawl"])}
    assert 0 < sum(row["subject"] not in names for _, row in asked) < len(asked)  # made up: memory is of no use there
    assert {row["subject"] for _, row in talks(world.tests, "search") if row["part"] == "found"} <= names
    assert all(str(row["subject"]) in messages[1].content for messages, row in asked)
    for messages, row in found:
        if row["part"] == "not_found":
            assert messages[-1].content == UNKNOWN
        else:
            cited = re.search(r"\[(\d)\]$", messages[-1].content)
            assert cited
            passage = messages[-2].content.split(f"[{cited[1]}] ")[1].split("\n[")[0]
            assert str(row["expected"]) in passage
            assert str(row["expected"]) in messages[-1].content


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(world: Made, tmp_path: Path) -> None:
    few = CONFIG.model_copy(update={"tests": 8})
    made = []
    for number, config in enumerate((few, few, few.model_copy(update={"seed": 2}))):
        out = tmp_path / str(number)
        out.mkdir()
        WORLD_CONVERSATIONS.run(world.inputs, out, config)
        made.append({path.name: path.read_bytes() for path in out.iterdir() if path.is_file()})
    assert made[0] == made[1]
    assert all(made[0][name] != made[2][name] for name in made[0])


def test_the_rows_can_be_rendered_and_are_no_longer_than_asked(world: Made) -> None:
    docs = RENDER.run(world.chats, RenderConfig(row_length=400), {"tokenizer": world.inputs["tokenizer"]})
    assert docs["reason"].null_count() == world.chats.height
    assert docs["learnt_tokens"].min() >= 1


def test_the_identity_is_that_of_the_config(world: Made, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"name": "Ada", "maker": "a museum", "what": "a machine", "tests": 0})
    WORLD_CONVERSATIONS.run(world.inputs, tmp_path, config)
    said = [messages[-1].content for messages, _ in talks(pl.read_parquet(tmp_path / "conversations-00000.parquet"), "identity")]
    assert any("Ada" in one for one in said)
    assert any("a museum" in one for one in said)
    assert not any("Winnow" in one for one in said)


def test_attributes_that_the_world_does_not_have_are_refused(world: Made, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="none about colour; expected one of those in `attributes`"):
        WORLD_CONVERSATIONS.run(world.inputs, tmp_path, WorldConversationsConfig(attributes=("colour",)))


def test_unknown_names_are_as_long_in_tokens_as_known_ones(world: Made) -> None:
    tokenizer = load(world.inputs["tokenizer"].folder)
    known = possible("person")[::40]
    train, test = unknown("person", known, known, (60, 60), tokenizer, 1)
    assert len({*train, *test}) == 120
    mean = sum(lengths(known, tokenizer)) / len(known)
    for part in (train, test):
        assert abs(sum(lengths(part, tokenizer)) / 60 - mean) < 0.1


def test_an_index_that_was_begun_is_made_anew(world: Made, tmp_path: Path) -> None:
    (tmp_path / "world" / "index").mkdir(parents=True)
    (tmp_path / "world" / "index" / "vectors.npy").write_bytes(b"half")
    made = [world_tool(world_index(world.inputs["crawl"], tmp_path / "world"), Searching(2, 240)) for _ in range(2)]
    name = world.tests["subject"].drop_nulls()[0]
    found = made[0].run(f"Where does {name} live?")
    assert str(name) in found
    assert found == made[1].run(f"Where does {name} live?")


def test_what_is_to_be_repeated_is_made_up_and_said_to_the_letter(world: Made) -> None:
    said = [messages for messages, _ in talks(world.chats, "repeat")]
    assert len(said) == 12
    assert all(messages[-2].content.endswith(f": {messages[-1].content}") for messages in said)
    asked = {messages[-1].content for messages, _ in talks(world.tests, "repeat")}
    assert len(asked) == 16
    assert not asked & {messages[-1].content for messages in said}


def test_facts_are_asked_after_talk_about_anything(world: Made) -> None:
    changes = [messages for messages, row in talks(world.chats, "multi_turn") if row["part"] == "change"]
    said = [" ".join(one.content for one in messages[:-2]) for messages in changes]
    assert any(message.thinking for messages in changes for message in messages[:-2])  # a sum
    assert any(CONFIG.name in text for text in said)
    assert any(UNKNOWN in text for text in said)
    assert not any(message.thinking for messages in changes for message in messages[-2:])
