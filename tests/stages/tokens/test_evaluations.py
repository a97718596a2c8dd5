import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from stages.stage import Input
from stages.tokens.evaluations import texts
from storage.problem import Problem

RECORDS = [
    {"question": "one", "choices": ["two", "three"], "answer": 4},
    {"question": "five", "messages": [{"role": "user", "content": "six"}, {"role": "assistant", "content": None}]},
]


def found(evaluations: Path | Input) -> set[tuple[str, str, int]]:
    return {
        (name, text, record)
        for name, strings, records in texts(evaluations)
        for text, record in zip(strings, records, strict=True)
        if text is not None
    }


def expected(name: str) -> set[tuple[str, str, int]]:
    first = {(name, text, 1) for text in ("one", "two", "three")}
    return first | {(name, text, 2) for text in ("five", "user", "six", "assistant")}


def test_every_string_of_every_kind_of_file_is_found_with_its_file_and_record(tmp_path: Path) -> None:
    lines = "".join(json.dumps(record) + "\n" for record in RECORDS)
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.jsonl").write_text(lines)
    (tmp_path / "b.json").write_text(json.dumps(RECORDS))
    (tmp_path / "sub" / "c.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    pl.DataFrame(RECORDS, infer_schema_length=None).with_columns(kind=pl.lit("seven").cast(pl.Categorical)).write_parquet(
        tmp_path / "d.parquet"
    )
    for passed_over in ("README.md", "LICENSE", ".hidden"):
        (tmp_path / passed_over).write_text("none of this")
    parquet = expected("d.parquet") | {("d.parquet", "seven", 1), ("d.parquet", "seven", 2)}
    assert found(tmp_path) == expected("a.jsonl") | expected("b.json") | expected("sub/c.jsonl.gz") | parquet


def test_some_files_of_a_folder_may_be_named_and_a_lone_file_has_no_name(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(json.dumps(RECORDS))
    assert found(Input(tmp_path, ("b.json",))) == expected("b.json")
    assert found(tmp_path / "b.json") == expected("")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", b"question\none\n", "found a.csv among the evaluation sets, expected files of .parquet, .jsonl"),
        ("a.jsonl", b'{"question": "one"}\n{"ques', "cannot read the evaluation set .*a.jsonl"),
        ("a.jsonl.gz", gzip.compress(b'{"question": "one"}\n')[:-12], "cannot read the evaluation set .*a.jsonl.gz"),
        ("a.parquet", b"PAR1 and nothing", "cannot read the evaluation set .*a.parquet"),
        ("a.json", b"[1, 2]", "found no text in the evaluation sets"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(name: str, data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(Problem, match=message):
        found(tmp_path)
