import json
import lzma
import random
from pathlib import Path

import polars as pl
import pytest
from datatrove.data import Document
from datatrove.pipeline.filters import GopherQualityFilter

from stages.corpus.gopher_quality import GOPHER_QUALITY, GopherQualityConfig, rules
from stages.rules import decide

GOLD = Path(__file__).parents[4] / "shared/data/extraction/gold.jsonl.xz"
PROSE = "These people have always wanted to be with friends, and that makes sense of everything. " * 6

LIBRARY = GopherQualityConfig(punctuation_is_words=True, heading_marks=True)
LIBRARY_REASONS = {
    "gopher_short_doc": "short_doc",
    "gopher_long_doc": "long_doc",
    "gopher_below_avg_threshold": "short_words",
    "gopher_above_avg_threshold": "long_words",
    "gopher_too_many_hashes": "too_many_hashes",
    "gopher_too_many_ellipsis": "too_many_ellipses",
    "gopher_too_many_bullets": "too_many_bullets",
    "gopher_too_many_end_ellipsis": "too_many_end_ellipses",
    "gopher_below_alpha_threshold": "too_few_alpha_words",
    "gopher_enough_stop_words": "too_few_stop_words",
}


def judge(texts: list[str | None], config: GopherQualityConfig | None = None) -> pl.DataFrame:
    docs = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    return GOPHER_QUALITY.run(docs, config or GopherQualityConfig(), {})


def library(text: str) -> str | None:
    """datatrove's reason in our words."""
    verdict = GopherQualityFilter().filter(Document(text=text, id=""))
    return None if verdict is True else LIBRARY_REASONS[verdict[1]]


CASES = [
    (PROSE, None),
    ("The cat and the dog. " * 8, "short_doc"),
    ("a cat " * 50_001, "long_doc"),
    ("I am to be or to do it " * 10, "short_words"),
    ("incomprehensibilities of counterrevolutionaries and internationalization " * 15, "long_words"),
    (PROSE + " #" * 20, "too_many_hashes"),
    (PROSE + " to be…" * 20, "too_many_ellipses"),
    ("\n".join(f"• {PROSE[:60]}" for _ in range(10)), "too_many_bullets"),
    ("\n".join([PROSE, "more of the same...", "and on…  "]), "too_many_end_ellipses"),
    (PROSE + " 123" * 40, "too_few_alpha_words"),
    ("Katzen und Hunde fressen morgens viel Futter. " * 10, "too_few_stop_words"),
]


@pytest.mark.parametrize(("text", "reason"), CASES)
def test_the_first_broken_rule_is_the_reason(text: str, reason: str | None) -> None:
    assert judge([text])["reason"].to_list() == [reason]
    assert library(text) == reason


@pytest.mark.parametrize("text", ["", None])
def test_an_empty_text_is_called_so(text: str | None) -> None:
    assert judge([text])["reason"].to_list() == ["empty"]


def made_up() -> list[str]:
    pieces = [
        "the",
        "be",
        "of",
        "and",
        "cat",
        "Ünderstanding",
        "a",
        "I",
        "counterrevolutionaries",
        "#",
        "...",
        "…",
        "12",
        "!",
        "中文",
    ]
    texts = [" ", "\n", "...", "#", "! ? , " * 40]
    for seed in range(300):
        chance = random.Random(seed)
        some = chance.sample(pieces, chance.randint(2, 12)) + ["the", "of", "with"] * chance.randint(0, 4) + ["cats", "house"] * 2
        start, end = chance.choice(["", "", "- ", " • "]), chance.choice(["", "", ".", "... ", "…"])
        lines = [start + " ".join(chance.choices(some, k=chance.randint(1, 20))) + end for _ in range(chance.randint(3, 15))]
        texts.append(chance.choice(["\n", "\r\n", "\x0b"]).join(lines))
    return texts


def test_decisions_are_those_of_datatrove() -> None:
    texts = [*made_up(), *(text for text, _ in CASES)]
    reasons = judge(texts, LIBRARY)["reason"].to_list()
    assert reasons == [library(text) for text in texts]
    assert len(set(reasons[:-11])) >= 8


@pytest.mark.skipif(not GOLD.exists(), reason="needs the real pages of ../shared/data")
def test_decisions_are_those_of_datatrove_on_real_pages() -> None:
    with lzma.open(GOLD) as file:
        texts = [text for _, line in zip(range(80), file, strict=False) if (text := json.loads(line)["gold_text"])]
    assert judge(texts, LIBRARY)["reason"].to_list() == [library(text) for text in texts]


def test_lively_prose_is_kept_which_the_library_drops_for_its_punctuation() -> None:
    talk = "“Never, never!” whispered Nikoláy; “and that, with mother, father—” “Well?” “Nonsense, brother!” " * 8
    assert library(talk) == "too_few_alpha_words"
    assert judge([talk])["reason"].to_list() == [None]


def test_a_repeated_stop_word_counts_again_only_where_that_is_asked_for() -> None:
    text = "We like the cats that live near our old house, because cats never bark at night. " * 8
    text = text.replace("the ", "").replace("that ", "", 6)
    assert judge([text])["reason"].to_list() == ["too_few_stop_words"]
    again = judge([text], GopherQualityConfig(repeated_stop_words=True))
    assert again.select("reason", "stop_words").rows() == [(None, 2)]


def test_all_signals_are_measured() -> None:
    docs = judge(["- #1: the cat...\n\nand 2", "! ?"])
    assert dict(docs.schema) == GOPHER_QUALITY.schema({"text": pl.String()})
    first, marks = docs.rows(named=True)
    assert (first["lines"], first["words"], first["stop_words"]) == (3, 5, 2)  # words: 1 the cat and 2
    assert first["mean_word_length"] == (1 + 3 + 3 + 3 + 1) / 5
    assert (first["hash_ratio"], first["ellipsis_ratio"]) == (1 / 9, 1 / 9)
    assert (first["bullet_line_frac"], first["ellipsis_line_frac"], first["alpha_word_frac"]) == (1 / 3, 1 / 3, 3 / 5)
    assert (marks["words"], marks["mean_word_length"], marks["reason_value"], marks["reason_threshold"]) == (0, None, 0, 50)


def test_a_threshold_can_be_tried_again_over_stored_signals() -> None:
    texts = made_up()
    config = GopherQualityConfig(min_words=10, max_hash_ratio=0.01)
    stored = judge(texts).drop("reason", "reason_value", "reason_threshold", "reason_detail")
    assert decide(stored, rules(config)).equals(judge(texts, config))


def test_the_marks_of_headings_are_no_hashes() -> None:
    text = "## The harbour\n\nIt was #1 of the five, and the ferries that have to stop stop with the ice."
    [plain], [counted] = (
        judge([text], GopherQualityConfig(heading_marks=marks))["hash_ratio"].to_list() for marks in (False, True)
    )
    assert counted == pytest.approx(3 * plain)
