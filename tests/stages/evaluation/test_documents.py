from pathlib import Path
from typing import Any

import polars as pl
import pytest

from stages.evaluation.documents import Document, choose, held_out, training
from stages.stage import Input
from storage.problem import Problem


def artifacts(folder: Path, **tokens: list[Any]) -> dict[str, Input]:
    """A corpus of six documents, and what `tokenize` made of it."""
    made = {
        "text": pl.DataFrame(
            {"id": [f"d{n}" for n in range(6)], "text": [f"text {n}" for n in range(6)], "language": ["en"] * 6}
        ),
        "tokens": pl.DataFrame(
            {
                "id": [f"d{n}" for n in range(6)],
                "split": ["train", "validation", "train", "validation", "train", "train"],
                "reason": [None, None, None, None, "contaminated", None],
            }
            | tokens
        ),
    }
    inputs = {}
    for name, frame in made.items():
        (folder / name).mkdir()
        frame[:3].write_parquet(folder / name / "a.parquet")
        frame[3:].write_parquet(folder / name / "b.parquet")
        inputs[name] = Input(folder / name, ("a.parquet", "b.parquet"))
    return inputs


def ids(documents: list[Document] | None) -> list[str]:
    assert documents is not None
    return [document.id for document in documents]


def test_the_split_says_which_documents_are_held_out_and_refused_ones_are_neither(tmp_path: Path) -> None:
    inputs = artifacts(tmp_path)
    assert held_out(inputs, 0, 0) == [Document("d1", "text 1"), Document("d3", "text 3")]
    assert ids(training(inputs, 0, 0)) == ["d0", "d2", "d5"]


def test_a_sample_is_the_same_each_time_and_another_for_another_seed(tmp_path: Path) -> None:
    inputs = artifacts(tmp_path)
    samples = [ids(training(inputs, 2, seed)) for seed in range(20)]
    assert samples == [ids(training(inputs, 2, seed)) for seed in range(20)]
    assert len({tuple(sample) for sample in samples}) == 3


def test_a_sample_keeps_its_documents_when_others_come(tmp_path: Path) -> None:
    few, more = [f"d{n}" for n in range(50)], [f"d{n}" for n in range(60)]
    kept = choose(few, 10, 0) & choose(more, 10, 0)
    assert len(kept) >= 7
    assert choose(more, 10, 0) - kept <= set(more[50:])


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
@pytest.mark.parametrize("named", [True, False])
def test_own_text_takes_the_place_of_the_split(tmp_path: Path, suffix: str, named: bool) -> None:
    frame = pl.DataFrame({"id": ["x", "y", "z"], "text": ["one", "", "two"]})
    path = tmp_path / f"own.{suffix}"
    frame = frame if named else frame.drop("id")
    frame.write_parquet(path) if suffix == "parquet" else frame.write_ndjson(path)
    expected = ["x", "z"] if named else [f"own.{suffix}:0", f"own.{suffix}:2"]
    for given in (path, tmp_path, Input(tmp_path, (path.name,))):
        found = held_out({"held_out": given, **artifacts_in(tmp_path)}, 0, 0)
        assert found == [Document(expected[0], "one"), Document(expected[1], "two")]


def artifacts_in(folder: Path) -> dict[str, Input]:
    (folder / "pages").mkdir(exist_ok=True)
    return {"text": Input(folder / "pages", ()), "tokens": Input(folder / "pages", ())}


def test_without_text_there_is_nothing_to_measure() -> None:
    assert held_out({"model": Path("m")}, 0, 0) is None
    assert training({}, 0, 0) is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: artifacts(folder, split=["train"] * 6), "no document with text in the split `validation` of `tokens`"),
        (lambda folder: {"held_out": write(folder / "a.jsonl", '{"text": ""}')}, "no document with text in `held_out`"),
        (lambda folder: {"held_out": write(folder / "a.jsonl", '{"body": "x"}')}, "a.jsonl has the columns body; expected `text`"),
        (lambda folder: {"held_out": write(folder / "a.parquet", "no parquet")}, "cannot read a.parquet"),
        (lambda folder: {"held_out": write(folder / "a.txt", "x")}, r"found a.txt; expected files whose names end in .parquet"),
        (lambda folder: artifacts(folder, id=["other", *(f"d{n}" for n in range(1, 6))], split=["validation"] * 6), "`tokens` holds other, which `text` lacks"),
    ],
)  # fmt: skip
def test_text_that_cannot_be_used_is_refused(tmp_path: Path, make: Any, message: str) -> None:
    with pytest.raises(Problem, match=message):
        held_out(make(tmp_path), 0, 0)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
