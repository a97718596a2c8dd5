"""Files of any common kind become shards of the one schema, a row for a row."""

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard

from models.chat.conversation import Message
from stages.posttraining.conversations import CONVERSATIONS, messages_of, splits
from stages.posttraining.import_conversations import (
    IMPORT_CONVERSATIONS,
    IMPORTED,
    PART,
    ImportConversationsConfig,
)
from stages.stage import Input
from storage.problem import Problem
from storage.shards import read_parquet

ALPACA = [{"instruction": f"Say {n}", "input": "", "output": str(n)} for n in range(3)]
CHATS = Path(__file__).parents[4] / "shared" / "data" / "chat"


def imported(files: Any, out: Path, validation: float = 0.0) -> tuple[pl.DataFrame, dict[str, Any]]:
    out.mkdir(exist_ok=True)
    stats = IMPORT_CONVERSATIONS.run({"files": files}, out, ImportConversationsConfig(validation=validation))
    frames = [read_parquet(str(path)) for path in out.iterdir()]
    for frame in frames:
        assert dict(frame.schema) == IMPORTED
    return pl.concat(sorted(frames, key=lambda frame: (frame["source"][0], len(frame) < PART))), stats


def written(path: Path, rows: list[Any]) -> Path:
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    if path.suffix == ".parquet":
        pl.DataFrame(rows).write_parquet(path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=1))
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(lines))
    elif path.suffix == ".zst":
        path.write_bytes(zstandard.compress(lines[:50]) + zstandard.compress(lines[50:]))
    else:
        path.write_bytes(lines)
    return path


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.jsonl.gz", "a.ndjson.zst", "a.parquet"])
def test_every_kind_of_file_gives_the_same_conversations(tmp_path: Path, name: str) -> None:
    frame, stats = imported(written(tmp_path / name, ALPACA), tmp_path / "out")
    assert [messages_of(rows, "x") for rows in frame["messages"]] == [
        (Message("user", f"Say {n}"), Message("assistant", str(n))) for n in range(3)
    ]
    assert frame.select("source", "split", "shape", "turns", "characters").unique(maintain_order=True).rows() == [
        (name, "train", "alpaca", 2, 6)
    ]
    assert frame["reason"].null_count() == 3
    assert stats == {"rows": 3, "conversations": 3, "dropped": {}}


def test_json_that_is_lines_is_read_as_lines_and_a_bad_line_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf\n{"prompt": "Hi", "completion": "Hello"}\n\n{"prompt": "Hi"\n7\n{"a": 1}')
    frame, stats = imported(tmp_path / "a.json", tmp_path / "out")
    assert frame["reason"].to_list() == [None, "unreadable", "unrecognised", "unrecognised"]
    assert '{"prompt": "Hi"' in frame["reason_detail"][1]
    assert frame["messages"].null_count() == 3
    assert stats == {"rows": 4, "conversations": 1, "dropped": {"unreadable": 1, "unrecognised": 2}}


def test_ids_are_unique_and_depend_on_content_alone(tmp_path: Path) -> None:
    folder = tmp_path / "chats"
    (folder / "deep").mkdir(parents=True)
    rows = [row | {"id": identity} for row, identity in zip(ALPACA, ("mine", "mine", 7), strict=True)]
    written(folder / "b.jsonl", rows)
    written(folder / "copy.jsonl", rows)
    written(folder / "deep" / "a.jsonl", ALPACA)
    (folder / "readme.md").write_text("Not a conversation.")
    frame, _ = imported(folder, tmp_path / "out")
    assert frame["id"].n_unique() == frame.height == 9
    assert frame["source"].unique(maintain_order=True).to_list() == ["b.jsonl", "copy.jsonl", "deep/a.jsonl"]
    assert frame["id"][0] == "mine"
    assert [identity.partition(":")[2] for identity in frame["id"]] == ["", "1", "2", "0", "1", "2", "0", "1", "2"]
    moved = tmp_path / "elsewhere"
    folder.rename(moved)
    again, _ = imported(Input(moved, ("b.jsonl", "copy.jsonl", "deep/a.jsonl")), tmp_path / "again")
    assert again.equals(frame)
    assert [path.read_bytes() for path in sorted((tmp_path / "again").iterdir())] == [
        path.read_bytes() for path in sorted((tmp_path / "out").iterdir())
    ]


def test_a_large_file_becomes_several_shards(tmp_path: Path) -> None:
    rows = [{"prompt": f"Say {n}", "completion": str(n)} for n in range(PART + 2)]
    frame, _ = imported(written(tmp_path / "a.jsonl", rows), tmp_path / "out")
    names = [path.name for path in sorted((tmp_path / "out").iterdir())]
    assert [name.rpartition("-")[0] for name in names] == ["a-p0000", "a-p0001"]
    assert [rows[1]["content"] for rows in frame["messages"]] == [row["completion"] for row in rows]


def test_conversations_that_ask_the_same_lie_on_one_side(tmp_path: Path) -> None:
    rows = [{"prompt": f"Tell me about number {n}", "completion": answer} for n in range(400) for answer in ("Yes.", "No.")]
    rows += [{"prompt": f"tell me, about NUMBER {n}!", "completion": "Perhaps."} for n in range(400)]
    frame, _ = imported(written(tmp_path / "a.jsonl", rows), tmp_path / "out", validation=0.2)
    number = frame["messages"].list.get(0).struct.field("content").str.extract(r"(\d+)")
    sides = pl.DataFrame({"number": number, "split": frame["split"]}).group_by("number").agg(pl.col("split").unique())
    assert sides.height == 400
    assert (sides["split"].list.len() == 1).all()
    assert 50 < (sides["split"].list.get(0) == "validation").sum() < 110


def test_split_of_nothing_is_nothing() -> None:
    assert splits([], 0.5).to_list() == []


def test_what_cannot_be_read_at_all_is_a_problem(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "a.txt").write_text("Hi")
    with pytest.raises(Problem, match=r"found a.txt; expected conversations in .json, .jsonl"):
        imported(tmp_path / "a.txt", out)
    (tmp_path / "a.json").write_text('[{"prompt": ')
    with pytest.raises(Problem, match="begins as a JSON array and is none"):
        imported(tmp_path / "a.json", out)
    (tmp_path / "a.parquet").write_text("PAR0")
    with pytest.raises(Problem, match=r"cannot read .*a.parquet"):
        imported(tmp_path / "a.parquet", out)
    whole = written(tmp_path / "a.jsonl.gz", ALPACA).read_bytes()
    (tmp_path / "a.jsonl.gz").write_bytes(whole[:-12])
    with pytest.raises(Problem, match=r"a.jsonl.gz is cut short or damaged"):
        imported(tmp_path / "a.jsonl.gz", out)
    with pytest.raises(
        Problem, match=r"found no conversation in the 1 rows of b.jsonl; most often: preference, such as: chosen and"
    ):
        imported(written(tmp_path / "b.jsonl", [{"chosen": "a", "rejected": "b"}]), out)


def test_the_columns_that_last_are_the_conversations() -> None:
    assert IMPORT_CONVERSATIONS.lasting({}) == CONVERSATIONS
    assert IMPORT_CONVERSATIONS.schema({}) == IMPORTED


@pytest.mark.skipif(not CHATS.is_dir(), reason="the real datasets of chats are not here")
def test_every_row_of_the_real_datasets_is_a_conversation_or_a_preference(tmp_path: Path) -> None:
    frame, _ = imported(CHATS, tmp_path / "out")
    known = {
        "alpaca_en_999.json": (999, "alpaca", None),
        "dpo_en_300.json": (300, "preference", "preference"),
        "gsm8k_train.jsonl": (7473, "question_answer", None),
        "hh_harmless_1156.jsonl.gz": (1156, "preference", "preference"),
        "instructions_1100.json": (1100, "alpaca", None),
        "preferences_1100.json": (1100, "preference", "preference"),
        "toolcalls_en_300.json": (300, "sharegpt", None),
    }
    for source, (count, shape, reason) in known.items():
        mine = frame.filter(pl.col("source") == source)
        assert mine.height == count, source
        assert mine["shape"].unique().to_list() == [shape], source
        assert mine["reason"].unique().to_list() == [reason], source
    calls = frame.filter(pl.col("source") == "toolcalls_en_300.json")["messages"].explode().struct.field("tool_calls")
    assert calls.drop_nulls().len() > 200
