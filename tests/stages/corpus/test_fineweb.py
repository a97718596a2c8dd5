import json
import lzma
import random
from pathlib import Path

import polars as pl
import pytest
from datatrove.data import Document
from datatrove.pipeline.filters import FineWebQualityFilter

from stages.corpus.fineweb import FINEWEB, LINE_ENDS, FineWebConfig, rules
from stages.rules import decide

GOLD = Path(__file__).parents[4] / "shared/data/extraction/gold.jsonl.xz"
AS_DATATROVE = FineWebConfig(line_ends="datatrove-0.10", equal_breaks=False)


def line(number: int, end: str) -> str:
    return f"Line {number} is long enough to be taken for prose{end}"


def page(*ends: str) -> str:
    return "\n".join(line(number, end) for number, end in enumerate(ends))


def judge(texts: list[str | None], config: FineWebConfig | None = None) -> pl.DataFrame:
    docs = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    return FINEWEB.run(docs, config or FineWebConfig(), {})


def library(text: str) -> str | None:
    verdict = FineWebQualityFilter().filter(Document(text=text, id=""))
    return None if verdict is True else verdict[1]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (page(*".!?."), None),
        ("", "empty"),
        (" \n\t\n", "empty"),
        (page(*[""] * 9, "."), "line_punct_ratio"),
        (page(".", ".") + "\nshort." * 5, "short_line_ratio"),
        (page(*"...") + "\n" + line(0, "."), "char_dup_ratio"),
        ("\n\n".join(["three words here is too short not.", "Four"]) + "\n" * 5, "list_ratio"),
    ],
)
def test_the_first_broken_rule_is_the_reason(text: str, reason: str | None) -> None:
    assert judge([text])["reason"].to_list() == [reason]
    assert library(text) == reason


@pytest.mark.parametrize(
    ("ends", "everything", "published", "library_now"),
    [
        (['."', ".'", '"', '"'], None, None, "line_punct_ratio"),
        (["。", "؟", "।", "。"], None, "line_punct_ratio", None),
        ([".", "", "", ""], None, None, None),
        (["…", ":", ",", ""], *["line_punct_ratio"] * 3),
        ([".", ".", ".", *[""] * 22], "line_punct_ratio", "line_punct_ratio", None),  # 3 of 25 is .12
    ],
)
def test_line_ends_are_the_published_ones_the_librarys_or_all(
    ends: list[str], everything: str | None, published: str | None, library_now: str | None
) -> None:
    text = page(*ends)
    configs = [FineWebConfig(), FineWebConfig(line_ends="fineweb-2024"), AS_DATATROVE]
    assert [judge([text], config)["reason"][0] for config in configs] == [everything, published, library_now]
    assert library(text) == library_now


def test_a_share_of_short_lines_equal_to_its_threshold_breaks_only_as_published() -> None:
    text = page(*"." * 33) + "\n" + "\n".join(f"Short, {number}." for number in range(67))
    assert judge([text])["reason"].to_list() == ["short_line_ratio"]
    assert judge([text], AS_DATATROVE)["reason"].to_list() == [library(text)] == [None]


def made_up() -> list[str]:
    texts = []
    for seed in range(300):
        chance = random.Random(seed)
        ends = chance.choice([[""], ["", "", "", ".", '"'], [".", "!", '."', "。", " "]])
        lines = [line(number, chance.choice(ends)) for number in range(chance.randint(1, 40))]
        lines += [f"{number}{chance.choice(ends)}" for number in range(chance.choice([0, 1, 20, 50]))]
        lines += chance.choices(lines, k=chance.choice([0, 0, 0, 3])) + [" "] * chance.choice([0, 0, 3])
        chance.shuffle(lines)
        texts.append(chance.choice(["\n", "\n", "\n\n", "\n" * 5]).join(lines))
    return [*texts, "", "x", "\n", "\x00", ".\n.\n."]


def test_decisions_are_those_of_datatrove_where_it_is_asked_for() -> None:
    texts = made_up()
    reasons = judge(texts, AS_DATATROVE)["reason"].to_list()
    assert reasons == [library(text) for text in texts]
    assert set(reasons) == {None, "empty", "line_punct_ratio", "short_line_ratio", "char_dup_ratio", "list_ratio"}


@pytest.mark.skipif(not GOLD.exists(), reason="needs the real pages of ../shared/data")
def test_decisions_are_those_of_datatrove_on_real_pages() -> None:
    with lzma.open(GOLD) as file:
        texts = [json.loads(line)["gold_text"] for _, line in zip(range(80), file, strict=False)]
    assert judge(texts, AS_DATATROVE)["reason"].to_list() == [library(text) for text in texts]


def test_all_signals_are_measured() -> None:
    docs = judge(["Ab.\nAb.\n\nA longer line, which has more than thirty characters", None])
    assert dict(docs.schema) == FINEWEB.schema({"text": pl.String()})
    row = docs.row(0, named=True)
    assert (row["lines"], row["punctuation_line_frac"], row["short_line_frac"]) == (3, 2 / 3, 2 / 3)
    assert (row["dup_line_char_frac"], row["newline_word_ratio"]) == (3 / 58, 3 / 14)
    assert docs.row(1)[1:6] == (0, None, None, None, None)


def test_closing_marks_are_single_characters() -> None:
    assert {len(mark) for marks in LINE_ENDS.values() for mark in marks} == {1}


def test_a_threshold_can_be_tried_again_over_stored_signals() -> None:
    texts = made_up()
    config = FineWebConfig(max_newline_word_ratio=0.1, equal_breaks=False)
    stored = judge(texts).drop("reason", "reason_value", "reason_threshold", "reason_detail")
    assert decide(stored, rules(config)).equals(judge(texts, config))
