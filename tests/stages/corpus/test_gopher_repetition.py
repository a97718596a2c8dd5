import json
import lzma
import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from datatrove.data import Document
from datatrove.pipeline.filters import GopherRepetitionFilter

import stages.corpus.gopher_repetition as module
from stages.corpus.gopher_repetition import GOPHER_REPETITION, GopherRepetitionConfig, measure, rules
from stages.rules import decide

GOLD = Path(__file__).parents[4] / "shared/data/extraction/gold.jsonl.xz"
DISTINCT = " ".join(f"word{number}" for number in range(60))


def judge(texts: list[str | None], config: GopherRepetitionConfig | None = None) -> pl.DataFrame:
    docs = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    return GOPHER_REPETITION.run(docs, config or GopherRepetitionConfig(), {})


def library(text: str) -> str | None:
    """datatrove's reason in our words."""
    verdict = GopherRepetitionFilter().filter(Document(text=text, id=""))
    return None if verdict is True else verdict[1].replace("duplicated", "dup").replace("_n_grams", "_gram")


def made_up() -> list[str]:
    """Texts of few words and lines, so that every rule is broken by some and none by others."""
    texts = []
    for seed in range(300):
        chance = random.Random(seed)
        vocabulary = [
            chance.choice(["a", "ab", "b", "c.", "long-winded", "(x):", "tree", "don't", "ø"]) + str(n) for n in range(60)
        ]
        vocabulary = vocabulary[: chance.choice([2, 8, 60])]
        lines = [" ".join(chance.choices(vocabulary, k=chance.randint(1, 25))) for _ in range(chance.randint(1, 30))]
        lines += chance.choices(lines, k=chance.choice([0, 0, 2, 12]))
        texts.append(chance.choice(["", "\n"]) + "".join(line + chance.choice(["\n", "\n\n", " "]) for line in lines))
    return [*texts, "", " ", "\n", "one", "one two", "a b " * 9, " \n\n x \n\n x", "." * 500, "中文" * 300]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (DISTINCT, None),
        ("", "empty"),
        ("\n\n".join([*"abcdefg", *6 * ["the same words"]]), "dup_para_frac"),
        ("\n\n".join([DISTINCT, *map(str, range(9)), DISTINCT]), "dup_para_char_frac"),
        ("\n".join([*"abcdefg", *"aaaa", DISTINCT]), "dup_line_frac"),
        ("\n".join([DISTINCT, *map(str, range(9)), DISTINCT]), "dup_line_char_frac"),
        (" ".join(f"buy now {number}" for number in range(20)), "top_2_gram"),
        (" ".join(f"{DISTINCT[:40]} {number}" for number in range(3)), "top_2_gram"),
        (DISTINCT + " , " + DISTINCT, "dup_5_gram"),
    ],
)
def test_the_first_broken_rule_is_the_reason(text: str, reason: str | None) -> None:
    assert judge([text])["reason"].to_list() == [reason]
    assert library(text) == reason


def test_decisions_are_those_of_datatrove() -> None:
    texts = made_up()
    reasons = judge(texts)["reason"].to_list()
    assert reasons == [library(text) for text in texts]
    assert len(set(reasons)) >= 9


@pytest.mark.skipif(not GOLD.exists(), reason="needs the real pages of ../shared/data")
def test_decisions_are_those_of_datatrove_on_real_pages() -> None:
    with lzma.open(GOLD) as file:
        texts = [json.loads(line)["gold_text"] for _, line in zip(range(80), file, strict=False)]
    assert judge(texts)["reason"].to_list() == [library(text) for text in texts]


def test_all_signals_are_measured_and_the_reason_is_explained() -> None:
    docs = judge(["buy now\n" * 10, None])
    assert dict(docs.schema) == GOPHER_REPETITION.schema({"text": pl.String()})
    row = docs.row(0, named=True)
    assert (row["reason"], row["reason_value"], row["reason_threshold"]) == ("dup_line_frac", 9 / 11, 0.3)
    assert (row["top_2_gram"], row["top_2_gram_frac"]) == ("buy now", 70 / 80)
    assert row["dup_10_gram_frac"] == 30 / 80
    assert docs.row(1, named=True)["reason"] == "empty"
    assert docs.row(1, named=True)["top_2_gram_frac"] is None


def test_a_top_n_gram_is_the_detail_of_its_rule() -> None:
    row = judge([" ".join(f"buy now {number}" for number in range(20))]).row(0, named=True)
    assert (row["reason"], row["reason_detail"]) == ("top_2_gram", "buy now")


def test_a_threshold_can_be_tried_again_over_stored_signals() -> None:
    docs = judge(made_up())
    strict = GopherRepetitionConfig(top_2_gram_frac=0.01, dup_line_frac=1)
    stored = docs.drop("reason", "reason_value", "reason_threshold", "reason_detail")
    assert decide(stored, rules(strict)).equals(judge(made_up(), strict))


def test_equal_fingerprints_of_different_n_grams_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*made_up()[:60], "ab ba ab ab ba ba " * 8, "on no on no no on was saw saw was " * 5]
    expected = [measure(text) for text in texts]
    monkeypatch.setattr(module, "BASE", np.uint64(1))  # anagrams now collide
    monkeypatch.setattr(module, "INVERSE", np.uint64(1))
    assert [measure(text) for text in texts] == expected
