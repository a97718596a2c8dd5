import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from models.tokenizer.tokenizer import Tokenizer
from models.transformer.transformer import Transformer
from stages.evaluation.choices import ROWS, Question, choices, read
from stages.stage import Input
from storage.problem import Problem
from tests.stages.evaluation.country import Country


def test_accuracy_is_that_of_the_harness(learnt: Transformer, tokenizer: Tokenizer, country: Country) -> None:
    """acc and acc_norm computed by hand, one forward pass for each choice, encoded as lm-evaluation-harness does."""
    towns = sorted({fact.value for fact in country.facts if fact.attribute == "town"})
    asked = [
        Question("towns", fact.sentence.removesuffix(f" {fact.value}."), (*towns, "a very long answer that is wrong"), towns.index(fact.value))
        for fact in country.facts
        if fact.attribute == "town"
    ]  # fmt: skip
    result = choices(learnt, tokenizer, asked)
    table = result.tables["choices"]
    assert dict(table.schema) == ROWS
    plain, norm = [], []
    for question in asked:
        totals = [total(learnt, tokenizer, question.query, f" {choice}") for choice in question.choices]
        plain.append(max(range(len(totals)), key=lambda place, t=totals: t[place]) == question.gold)
        per_byte = [value / len(choice.encode()) for value, choice in zip(totals, question.choices, strict=True)]
        norm.append(max(range(len(totals)), key=lambda place, t=per_byte: t[place]) == question.gold)
    assert table["right"].to_list() == plain
    assert table["right_norm"].to_list() == norm
    acc, acc_norm = result.measures
    assert (acc.metric, acc.value, acc.n) == ("acc", sum(plain) / len(plain), 8)
    assert (acc_norm.metric, acc_norm.value) == ("acc_norm", sum(norm) / len(norm))
    assert acc.chance == pytest.approx(1 / (len(towns) + 1))
    assert acc.value > 0.8


def total(model: Transformer, tokenizer: Tokenizer, context: str, continuation: str) -> float:
    before, whole = tokenizer.encode(context), tokenizer.encode(context + continuation)
    ids = torch.tensor([tokenizer.start or 0, *whole])
    with torch.no_grad():
        logprobs = F.log_softmax(model(ids[None, :-1])[0], -1)
    return float(logprobs[len(before) :].gather(1, ids[len(before) + 1 :, None]).sum())


def test_tasks_are_told_apart_and_long_queries_are_counted(fresh: Transformer, tokenizer: Tokenizer) -> None:
    asked = [
        Question("a", "x " * 300, ("one", "two", "three"), 2),
        Question("b", "Yes or no?", ("yes", "no"), 0),
        Question("a", "", ("x", "y"), 0),
    ]
    result = choices(fresh, tokenizer, asked)
    by_name = {(one.part, one.metric): one for one in result.measures}
    assert by_name["a", "acc"].n == 2
    assert by_name["a", "acc"].chance == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert by_name["a", "acc"].note == "1 prompts longer than the context lost their beginning"
    assert by_name["b", "acc"].note is None
    assert (result.tables["choices"]["cut"] > 0).to_list() == [True, False, False]


def test_files_of_a_folder_are_tasks_by_their_names(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.jsonl"):
        (tmp_path / name).write_text(json.dumps({"query": name, "choices": ["1", "2"], "gold": 1, "source": "extra"}) + "\n\n")
    (tmp_path / "notes.txt").write_text("no questions")
    (tmp_path / "c").mkdir()
    lines = json.dumps({"query": "one\u2028two", "choices": ["1", "2"], "gold": 1}, ensure_ascii=False) + "\r\n"
    (tmp_path / "c" / "c.jsonl").write_text(lines * 2, encoding="utf-8-sig")
    assert read(tmp_path / "c") == [Question("c", "one\u2028two", ("1", "2"), 1)] * 2
    expected = [Question("a", "a.jsonl", ("1", "2"), 1), Question("b", "b.jsonl", ("1", "2"), 1)]
    assert read(tmp_path) == expected
    assert read(Input(tmp_path, ("a.jsonl", "b.jsonl", "notes.txt"))) == expected
    assert read(tmp_path / "b.jsonl") == expected[1:]


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[]",
        '{"query": "q", "choices": ["one"], "gold": 0}',
        '{"query": "q", "choices": ["a", "b"], "gold": 2}',
        '{"query": "q", "choices": ["a", "b"], "gold": "a"}',
        '{"query": "q", "choices": ["a", ""], "gold": 0}',
        '{"query": 1, "choices": ["a", "b"], "gold": 0}',
        '{"query": "\\ud800", "choices": ["a", "b"], "gold": 0}',
        '{"choices": ["a", "b"], "gold": 0}',
    ],
)
def test_a_line_that_is_no_question_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "task.jsonl").write_text('{"query": "q", "choices": ["a", "b"], "gold": 1}\n' + line + "\n")
    with pytest.raises(Problem, match=r"line 2 of task\.jsonl is .*; expected") as raised:
        read(tmp_path)
    assert line[:120] in str(raised.value)


def test_no_question_at_all_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no question in `tasks`"):
        read(tmp_path)
    (tmp_path / "a.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(Problem, match=r"Expected a \.jsonl file in UTF-8"):
        read(tmp_path)
