"""Problems: graded, different, apart from training; and files like GSM8K."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from stages.alignment.problems import PROBLEMS, ProblemsConfig
from stages.posttraining.world.arithmetic import arithmetic
from storage.problem import Problem

GSM8K = [
    {"question": "How many clips?", "answer": "She sold 48/2 = <<48/2=24>>24 in May.\n#### 72"},
    {"question": "How much?", "answer": "1,000 and more.\n#### 1,200"},
]


def made(out: Path, inputs: dict[str, Any] | None = None, **settings: Any) -> tuple[dict[str, Any], pl.DataFrame, pl.DataFrame]:
    out.mkdir(exist_ok=True)
    told: dict[str, Any] = PROBLEMS.run(inputs or {}, out, ProblemsConfig(**settings))
    return told, pl.read_parquet(out / "train-00000.parquet"), pl.read_parquet(out / "test-00000.parquet")


def asked(rows: pl.DataFrame) -> list[str]:
    return [str(messages[0]["content"]) for messages in rows["messages"]]


def test_problems_of_every_length_are_all_different_and_worked_out_rightly(tmp_path: Path) -> None:
    told, train, test = made(tmp_path, steps=(1, 3, 6), train=50, test=20)
    assert told == {"train": 150, "test": 60}
    assert dict(train["part"].value_counts().iter_rows()) == {"1 step": 50, "3 steps": 50, "6 steps": 50}
    assert set(train["split"]) == {"train"}
    assert set(test["split"]) == {"test"}
    assert len(set(asked(train)) | set(asked(test))) == 210
    assert train["id"].n_unique() == 150
    for row in train.iter_rows(named=True):
        question, answer = row["messages"][0]["content"], row["messages"][1]
        sum_of = question.removeprefix("What is ").removesuffix("?")
        assert str(eval(sum_of)) == row["expected"] == answer["content"]
        steps = answer["reasoning_content"].split(",")
        assert len(steps) == int(row["part"].split()[0])
        assert steps[-1].endswith(f"={row['expected']}")


def test_no_problem_of_the_test_is_ever_in_a_conversation_for_training(tmp_path: Path) -> None:
    import random

    _, train, test = made(tmp_path, steps=(1, 2), train=400, test=400)
    chats = {one.messages[0].content for one in arithmetic([], random.Random(3), 20_000, test=False)}
    assert chats & set(asked(train))
    assert not (chats | set(asked(train))) & set(asked(test))
    assert test.filter(pl.col("part") == "1 step").height < 100  # there are no more


def test_the_same_settings_give_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        made(tmp_path / name, steps=(3,), train=20, test=5, seed=seed)
    first, again, other = ((tmp_path / name / "train-00000.parquet").read_bytes() for name in "abc")
    assert first == again != other


def test_rows_of_gsm8k_are_read_with_their_numbers(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "gsm8k_train.jsonl").write_text("\n".join(json.dumps(row) for row in GSM8K))
    (files / "gsm8k-test.jsonl").write_text(json.dumps(GSM8K[0]))
    told, train, test = made(tmp_path / "out", {"files": files})
    assert told == {"train": 2, "test": 1}
    assert train["part"].to_list() == ["gsm8k", "gsm8k"]
    assert test["part"].to_list() == ["gsm8k"]
    assert train["expected"].to_list() == ["72", "1200"]
    assert asked(test) == ["How many clips?"]
    assert "<<" not in train["messages"][0][1]["content"]
    assert made(tmp_path / "some", {"files": files}, files=1)[0] == {"train": 1, "test": 1}
    assert made(tmp_path / "both", {"files": files}, beside_files=True, steps=(6,), train=3, test=4)[0] == {"train": 5, "test": 5}


def test_files_are_called_by_what_is_neither_their_split_nor_their_number(tmp_path: Path) -> None:
    files = tmp_path / "files"
    for name in ("main/train-00000-of-00001", "main/test-00000-of-00001", "train-00001-of-00002", "add-1_train"):
        path = files / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(GSM8K[0]))
    _, train, test = made(tmp_path / "out", {"files": files})
    assert sorted(train["part"]) == ["add-1", "problems", "problems"]
    assert test["part"].to_list() == ["problems"]


def test_an_answer_may_be_a_number(tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text('{"question": "How much is 4 + 1?", "answer": 5}\n{"question": "And a half?", "answer": 4.5}\n')
    _, train, test = made(tmp_path / "out", {"files": file})
    both = pl.concat([train, test])
    assert sorted(both["expected"]) == ["4.5", "5"]
    assert set(both["part"]) == {"problems"}


def test_of_files_for_training_alone_some_rows_are_kept_for_tests(tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text(
        "".join(json.dumps({"question": f"How much is {n % 400} + 1?", "answer": f"#### {n + 1}"}) + "\n" for n in range(800))
    )
    told, train, test = made(tmp_path / "out", {"files": file})
    assert told["train"] + told["test"] == 800
    assert 0.08 < told["test"] / 800 < 0.17
    assert not set(asked(train)) & set(asked(test))  # what is asked twice is on one side


def test_files_of_one_name_are_several_and_only_the_word_test_makes_a_test(tmp_path: Path) -> None:
    for place, name in enumerate(("a/train.jsonl", "b/train.jsonl", "latest.jsonl", "a/test.jsonl")):
        (tmp_path / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "files" / name).write_text(json.dumps({"question": f"{place} + 1?", "answer": f"#### {place + 1}"}))
    told, _, test = made(tmp_path / "out", {"files": tmp_path / "files"})
    assert told == {"train": 3, "test": 1}
    assert asked(test) == ["3 + 1?"]


def test_a_row_without_a_number_and_nothing_at_all_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "questions.json"
    file.write_text(json.dumps([GSM8K[0], {"question": "Why?", "answer": "Because."}]))
    with pytest.raises(Problem, match=r"row 2 of .*has no number that an answer could be checked by"):
        made(tmp_path / "out", {"files": file})
    file = tmp_path / "broken.jsonl"
    file.write_text(json.dumps(GSM8K[0]) + '\n{"question": "Why')
    with pytest.raises(Problem, match=r"row 2 of .* cannot be read: "):
        made(tmp_path / "broken", {"files": file})
    with pytest.raises(Problem, match="expected some to ask"):
        made(tmp_path / "none", train=0, test=0)
    with pytest.raises(Problem, match="expected lengths of 1 to 100"):
        made(tmp_path / "odd", steps=(0,))


PUBLISHED = Path(__file__).parents[4] / "shared" / "data" / "chat" / "gsm8k_train.jsonl"


@pytest.mark.skipif(not PUBLISHED.exists(), reason="../shared/data is not here")
def test_every_row_of_the_published_training_file_has_its_number(tmp_path: Path) -> None:
    told, train, test = made(tmp_path, {"files": PUBLISHED})
    assert told["train"] + told["test"] == 7473
    assert 850 < told["test"] < 1020
    assert pl.concat([train, test])["expected"].str.contains(r"^-?\d+(\.\d+)?$").all()
