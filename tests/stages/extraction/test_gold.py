import numpy as np
import pytest

from stages.extraction import gold
from stages.extraction.gold import labels

STORY = "The ferry from Ostermark did not sail today because the ice in the harbour is thicker than a hand"


@pytest.mark.parametrize(
    ("blocks", "text", "matched", "words"),
    [
        ([], "", [], []),
        ([], STORY, [], []),
        (["Home"], "", [0], [1]),
        (["", "..."], STORY, [0, 0], [0, 0]),
        (["Home About", STORY, "Imprint"], STORY, [0, 19, 0], [2, 19, 1]),
        (["Home About", STORY.upper()], STORY + ".", [0, 19], [2, 19]),
        ([STORY, "Home", STORY], STORY, [0, 0, 19], [19, 1, 19]),
        ([STORY[:37], STORY[37:]], STORY, [7, 12], [7, 12]),
        (["the", STORY, "the"], STORY, [0, 19, 0], [1, 19, 1]),
        ([STORY + " and a caption of a picture"], STORY, [19], [25]),
        (["首页", "今天渡轮没有开航"], "今天渡轮没有开航", [0, 8], [2, 8]),
    ],
)
def test_a_block_s_label_is_how_many_of_its_words_the_gold_text_has(
    blocks: list[str], text: str, matched: list[int], words: list[int]
) -> None:
    found, counted, wanted = labels(blocks, text)
    assert counted.tolist() == words
    assert wanted == len(gold.WORD.findall(text))
    assert found.sum() == sum(matched)
    if blocks != [STORY, "Home", STORY]:  # which of two copies is taken is open
        assert found.tolist() == matched
    assert found.dtype == counted.dtype == np.float32


def test_a_word_that_the_gold_text_lacks_costs_that_word_alone() -> None:
    words = STORY.split()
    found, _, _ = labels([" ".join([*words[:9], "advertisement", *words[9:]])], STORY)
    assert found.tolist() == [19]


def test_a_stray_word_of_a_menu_is_not_worth_a_gap() -> None:
    found, _, _ = labels(["ice harbour", STORY, "today the"], STORY)
    assert found.tolist() == [0, 19, 0]


def test_pages_too_long_to_align_are_matched_by_runs_of_four_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gold, "CELLS", 1)
    found, counted, _ = labels(["Home the ice", STORY, "the ice in the", "thicker than a"], STORY)
    assert found.tolist() == [0, 19, 4, 0]
    assert counted.tolist() == [3, 19, 4, 3]
