"""Datasets of preferences in every shape that is read, and why a row holds none."""

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from stages.alignment.compared import Compared, compare
from stages.alignment.import_preferences import IMPORT_PREFERENCES, IMPORTED, ImportPreferencesConfig
from stages.alignment.preferences import ordered
from storage.problem import Problem

HH = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Where is {0}?\n\nAssistant: {1}"
GIVEN = Path(__file__).parents[4] / "shared" / "data" / "chat"


def said(one: Compared) -> list[tuple[list[str], str, str]]:
    """Of each pair, what is said in the prompt and in both answers."""
    return [
        ([message.content for message in pair.prompt], *(side[-1].content for side in (pair.chosen, pair.rejected)))
        for pair in one.pairs
    ]


@pytest.mark.parametrize(
    ("row", "shape", "expected"),
    [
        ({"chosen": HH.format("A", "Here."), "rejected": HH.format("A", "Who knows")}, "hh", (["Hi", "Hello", "Where is A?"], "Here.", "Who knows")),
        (
            {"instruction": "Spell it", "input": "freind", "output": "ignored", "chosen": "friend", "rejected": "freind"},
            "pair",
            (["Spell it\n\nfreind"], "friend", "freind"),
        ),
        (
            {
                "conversations": [{"from": "human", "value": "Hi"}],
                "chosen": {"from": "gpt", "value": "Hello"},
                "rejected": {"from": "gpt", "value": "What"},
            },
            "pair",
            (["Hi"], "Hello", "What"),
        ),
        ({"prompt": "Hi", "chosen": "Hello", "rejected": "What"}, "pair", (["Hi"], "Hello", "What")),
        (
            {"prompt": "\n\nHuman: Hi\n\nAssistant:", "chosen": " Hello", "rejected": " What"},
            "pair",
            (["Hi"], " Hello", " What"),
        ),
        ({"system": "Be kind.", "question": "Hi", "chosen": "Hello", "rejected": "What"}, "pair", (["Be kind.", "Hi"], "Hello", "What")),
        (
            {
                "prompt": "Hi",
                "chosen": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
                "rejected": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "What"}],
            },
            "conversation",
            (["Hi"], "Hello", "What"),
        ),
        (
            {"messages": [{"role": "user", "content": "Hi"}], "answers": ["What", "Hello"], "ranks": [2, 1]},
            "ranking",
            (["Hi"], "Hello", "What"),
        ),
    ],
)  # fmt: skip
def test_every_shape_gives_its_prompt_and_its_two_answers(row: Any, shape: str, expected: Any) -> None:
    found = compare(row)
    assert (found.reason, found.shape) == (None, shape)
    assert said(found) == [expected]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([], "unrecognised"),
        ({"prompt": "Hi", "completion": "Hello"}, "unrecognised"),
        ({"chosen": "Hello", "rejected": "What"}, "unrecognised"),
        ({"prompt": "Hi", "chosen": "Hello", "rejected": 3}, "unrecognised"),
        ({"prompt": "Hi", "chosen": "Hello", "rejected": "Hello"}, "same_answer"),
        ({"prompt": "Hi", "chosen": "Hello", "rejected": " "}, "empty"),
        ({"chosen": HH.format("A", "Here."), "rejected": HH.format("B", "There.")}, "different_prompts"),
        ({"chosen": HH.format("A", "Here."), "rejected": HH.format("A", "X\n\nHuman: And\n\nAssistant: Y")}, "several_turns"),
        ({"chosen": HH.format("A", "Here."), "rejected": HH.format("A", "X\n\nAssistant: Y")}, "two_assistant_turns"),
        ({"prompt": "Hi", "answers": ["a", "b"], "ranks": [1, 1]}, "tie"),
        ({"prompt": "Hi", "answers": ["a", "b"], "ranks": [1]}, "unrecognised"),
        ({"prompt": "Hi", "answers": ["a", "a"], "ranks": [1, 2]}, "same_answer"),
    ],
)
def test_a_row_without_a_pair_says_why(row: Any, reason: str) -> None:
    found = compare(row)
    assert (found.reason, found.pairs) == (reason, ())
    assert found.detail


@pytest.mark.parametrize(
    ("beside", "margin"),
    [
        ({}, None),
        ({"margin": 2}, 2.0),
        ({"margin": float("nan")}, None),
        ({"margin": True}, None),
        ({"margin": float("nan"), "score_chosen": 9, "score_rejected": 6.5}, 2.5),
        ({"score_chosen": 9, "score_rejected": float("inf")}, None),
        ({"score_chosen": 9, "score_rejected": 6.5}, 2.5),
        ({"chosen_rating": 5, "rejected_rating": 1}, 4.0),
    ],
)
def test_a_margin_is_given_or_the_difference_of_two_scores(beside: dict[str, float], margin: float | None) -> None:
    assert compare({"prompt": "Hi", "chosen": "Hello", "rejected": "What"} | beside).pairs[0].margin == margin


def test_equal_answers_of_an_order_are_no_pair_and_the_others_are() -> None:
    found = compare({"prompt": "Hi", "answers": ["a", "a", "b"], "ranks": [1, 2, 3]})
    assert (found.reason, said(found)) == (None, [(["Hi"], "a", "b")] * 2)


def test_an_order_with_ties_gives_a_pair_for_any_two_that_differ() -> None:
    assert ordered([2, 1, 2, 3]) == [(1, 0), (0, 3), (1, 2), (1, 3), (2, 3)]


def imported(files: Path, out: Path, **config: Any) -> tuple[dict[str, Any], pl.DataFrame]:
    out.mkdir()
    stats = IMPORT_PREFERENCES.run({"files": files}, out, ImportPreferencesConfig(**config))
    frames = [pl.read_parquet(path) for path in sorted(out.glob("*.parquet"))]
    assert all(dict(frame.schema) == IMPORTED for frame in frames)
    return stats, pl.concat(frames)


def test_files_of_any_kind_become_rows_with_reasons_where_there_is_no_pair(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    pairs = [{"id": "own", "prompt": f"Question {number}", "chosen": "Hello", "rejected": "What"} for number in range(20)]
    (files / "a.json").write_text(json.dumps(pairs))
    with gzip.open(files / "b.jsonl.gz", "wt") as file:
        file.write(json.dumps({"chosen": HH.format("A", "Here."), "rejected": HH.format("A", "There.")}) + "\n{broken\n")
    pl.DataFrame({"prompt": ["Hi"], "chosen": ["Hello"], "rejected": ["What"], "annotator": ["Ann"]}).write_parquet(
        files / "c.parquet"
    )
    stats, rows = imported(files, tmp_path / "out", validation=0.3)
    assert stats == {"rows": 23, "pairs": 22, "dropped": {"unreadable": 1}}
    assert rows["id"].n_unique() == 23
    assert rows["id"][0] == "own"
    assert rows["annotator"].to_list() == ["a.json"] * 20 + ["b.jsonl.gz"] * 2 + ["Ann"]
    assert set(rows["split"]) == {"train", "validation"}
    assert rows["chosen_characters"][0] == 5
    again, same = imported(files, tmp_path / "again", validation=0.3)
    assert again == stats
    assert same.equals(rows)


def test_what_was_judged_again_counts_once_and_pairs_of_an_order_know_each_other(tmp_path: Path) -> None:
    order = {
        "item": "1",
        "annotator": "Ann",
        "messages": [{"role": "user", "content": "Hi"}],
        "answers": ["a", "b", "c"],
        "ranks": [1, 2, 3],
    }
    lines = [order, order | {"annotator": "Bob"}, order | {"ranks": [3, 2, 2]}]
    (tmp_path / "judged.jsonl").write_text("\n".join(map(json.dumps, lines)))
    stats, rows = imported(tmp_path / "judged.jsonl", tmp_path / "out")
    assert stats == {"rows": 3, "pairs": 5, "dropped": {"judged_again": 1}}
    kept = rows.filter(pl.col("reason").is_null())
    assert kept.group_by("ranking", maintain_order=True).len()["len"].to_list() == [3, 2]
    assert kept.filter(pl.col("annotator") == "Ann")["rejected"].list.first().struct.field("content").to_list() == ["a", "a"]


def test_a_file_without_a_pair_is_refused_with_its_commonest_reason(tmp_path: Path) -> None:
    (tmp_path / "chats.json").write_text(json.dumps([{"prompt": "Hi", "completion": "Hello"}]))
    with pytest.raises(Problem, match=r"no pair of answers in the 1 rows of chats.json; most often: unrecognised"):
        imported(tmp_path / "chats.json", tmp_path / "out")


@pytest.mark.skipif(not GIVEN.is_dir(), reason="the real files are not on this machine")
@pytest.mark.parametrize(
    ("name", "pairs", "dropped"),
    [
        ("preferences_1100.json", 1094, {"same_answer": 6}),
        ("dpo_en_300.json", 300, {}),
        ("hh_harmless_1156.jsonl.gz", 1149, {"empty": 3, "two_assistant_turns": 4}),
    ],
)
def test_real_files_are_read_as_they_are(name: str, pairs: int, dropped: dict[str, int], tmp_path: Path) -> None:
    stats, _ = imported(GIVEN / name, tmp_path / "out")
    assert (stats["pairs"], stats["dropped"]) == (pairs, dropped)
