import json
import lzma
import random
from pathlib import Path

import polars as pl
import pytest
from datatrove.data import Document
from datatrove.pipeline.filters import C4QualityFilter

from stages.corpus.c4 import C4, C4Config, rules
from stages.rules import decide

GOLD = Path(__file__).parents[4] / "shared/data/extraction/gold.jsonl.xz"
FIVE = "This is one sentence. This is another! Is this a third? Here is the fourth. And the fifth ends here."


def judge(texts: list[str | None], config: C4Config | None = None) -> pl.DataFrame:
    docs = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    return C4.run(docs, config or C4Config(layout=False), {})


def library(text: str, closing_mark: bool = False) -> tuple[str | None, str]:
    """datatrove's reason and the text that it leaves."""
    document = Document(text=text, id="")
    verdict = C4QualityFilter(filter_no_terminal_punct=closing_mark).filter(document)
    return (None, document.text) if verdict is True else (verdict[1], text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (FIVE, None),
        ("", "empty"),
        (None, "empty"),
        (" \n ", "too_few_sentences"),
        ("Only these two. Not more.", "too_few_sentences"),
        (f"{FIVE}\nLorem Ipsum dolor sit amet.", "lorem_ipsum"),
        (f"{FIVE}\nfunction call() {{ return 1 }}", "curly_bracket"),
        (f"{FIVE}\nif (x) {{ y }}\nand lorem ipsum too", "curly_bracket"),
        (f"{FIVE}\nand lorem ipsum too\nif (x) {{ y }}", "lorem_ipsum"),
        (f"{FIVE}\nlorem ipsum", None),
        (f"{FIVE}\nuse javascript here {{", None),
    ],
)
def test_the_first_broken_rule_is_the_reason(text: str | None, reason: str | None) -> None:
    assert judge([text])["reason"].to_list() == [reason]
    if text:
        assert library(text)[0] == reason


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("  A line of prose stays. ", "A line of prose stays."),
        ("Two words", None),
        ("Please enable JavaScript in your browser.", None),
        ("This site uses cookies, as all do.", None),
        ("Read our Privacy Policy before you go.", None),
        ("A long word " + "x" * 1001 + " is no prose.", None),
        ("A long word " + "x" * 1000 + " is prose.", "A long word " + "x" * 1000 + " is prose."),
        ("As was shown[12], then denied [citation needed] [edit].", "As was shown, then denied  ."),
        ("An empty mark [] and [a note] there.", "An empty mark  and [a note] there."),
    ],
)
def test_lines_are_dropped_and_citations_removed(line: str, left: str | None) -> None:
    text = f"{FIVE}\n{line}\nThe last line."
    cleaned = judge([text])["text"].to_list()
    assert cleaned == ["\n".join([FIVE, *([left] if left else []), "The last line."])]
    assert library(text) == (None, cleaned[0])


def made_up() -> list[str]:
    phrases = ["One more.", "a b", "No end here", 'Quoted "end"', "Lorem ipsum dolor sit", "x { y } z", "javascript is on"]
    phrases += [
        "it uses cookies now",
        "[1] [2] [edit]",
        "[1]",
        "Dr. No said [3]: wait... what?! Yes.  ",
        "中文。 还有！ 好",
        "\t",
        "e.g. this.",
    ]
    texts = []
    for seed in range(300):
        chance = random.Random(seed)
        usual = [
            phrase for phrase in phrases if chance.random() < 0.4 or ("o" in phrase and "{" not in phrase and "rem" not in phrase)
        ]
        glue = ["\n", "\n\n", " ", "\r\n", "\x85"]
        texts.append("".join(chance.choice(usual) + chance.choice(glue) for _ in range(chance.randint(1, 12))))
    return texts


@pytest.mark.parametrize("closing_mark", [False, True])
def test_decisions_and_texts_are_those_of_datatrove(closing_mark: bool) -> None:
    texts = made_up()
    docs = judge(texts, C4Config(closing_mark=closing_mark, layout=False))
    ours = list(zip(docs["reason"], docs["text"], strict=True))
    assert ours == [library(text, closing_mark) for text in texts]
    assert set(docs["reason"]) == {None, "lorem_ipsum", "curly_bracket", "too_few_sentences"}


@pytest.mark.skipif(not GOLD.exists(), reason="needs the real pages of ../shared/data")
def test_decisions_and_texts_are_those_of_datatrove_on_real_pages() -> None:
    with lzma.open(GOLD) as file:
        texts = [text for _, line in zip(range(80), file, strict=False) if (text := json.loads(line)["gold_text"])]
    docs = judge(texts)
    assert list(zip(docs["reason"], docs["text"], strict=True)) == [library(text) for text in texts]


def test_all_signals_are_measured_and_a_dropped_page_keeps_its_text() -> None:
    text = f"Lorem ipsum is [1] here.\n\nshort\nno javascript please\nour privacy policy is\nlook: {{ }}\n{'x' * 1001}\n{FIVE}"
    docs = judge([text])
    assert dict(docs.schema) == C4.schema({"text": pl.String()})
    row = docs.row(0, named=True)
    counts = {name: row[name] for name in C4.signals}
    assert counts == {
        "lines": 8,
        "long_word_lines": 1,
        "unpunctuated_lines": 0,
        "short_lines": 2,
        "javascript_lines": 1,
        "policy_lines": 1,
        "sentences": 7,
        "lorem_ipsum": 1,
        "curly_bracket": 1,
        "lorem_ipsum_first": 1,
    }
    assert (row["reason"], row["reason_value"], row["reason_threshold"], row["text"]) == ("lorem_ipsum", 1, 0, text)


def test_a_rule_can_be_tried_again_over_stored_signals() -> None:
    texts = made_up()
    config = C4Config(lorem_ipsum=False, min_sentences=2, layout=False)
    stored = judge(texts).drop("text", "reason", "reason_value", "reason_threshold", "reason_detail")
    assert decide(stored, rules(config)).equals(judge(texts, config).drop("text"))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"# Ice\n\n{FIVE}\n\n- one\n- one of three\n  - and one below", f"# Ice\n\n{FIVE}\n\n- one of three\n  - and one below"),
        (f"{FIVE}\n\n```\nx = 1\n\n    y = x\n```\n\nThe last line.", None),
        (f"{FIVE}\n\nTwo words\n\n\n\nThe last line.", f"{FIVE}\n\nThe last line."),
        (f"{FIVE}\n```\nno end\nThe last line.", f"{FIVE}\nThe last line."),  # no code: its second fence is missing
        (f"{FIVE}\n#hashtag two\n## Two words", f"{FIVE}\n## Two words"),
    ],
)
def test_the_layout_of_what_stays_is_kept(text: str, left: str | None) -> None:
    assert judge([text], C4Config())["text"].to_list() == [left or text]


def test_a_curly_bracket_in_code_is_one_as_well() -> None:
    assert judge([f"{FIVE}\n```\nif (x) {{\n```"], C4Config())["reason"].to_list() == ["curly_bracket"]
