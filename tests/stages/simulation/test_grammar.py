import random
import re

import pytest

from stages.simulation.details import third
from stages.simulation.grammar import WORDS, Pen, parse


def pen(seed: int = 1) -> Pen:
    return Pen(random.Random(seed))


def test_a_template_takes_alternatives_slots_and_words_and_begins_with_a_capital() -> None:
    seen = {pen(seed).fill("[the|a[n old|]] {thing} came on <day>.", {"thing": "goat"}) for seed in range(200)}
    assert {re.sub("on .*", "on", text) for text in seen} == {"The goat came on", "An old goat came on", "A goat came on"}
    assert {text.split()[-1].rstrip(".") for text in seen} == set(WORDS["day"])


@pytest.mark.parametrize("template", ["a [b", "a [b|c", "a b]"])
def test_a_template_with_unbalanced_brackets_is_refused(template: str) -> None:
    with pytest.raises((ValueError, IndexError)):
        parse(template)


def test_a_pen_repeats_no_template_while_others_are_left() -> None:
    writer, stock = pen(), ("one.", "two.", "three.", "four.")
    assert sorted(writer.say(stock) for _ in stock) == ["Four.", "One.", "Three.", "Two."]
    assert writer.say(stock) in {"Four.", "One.", "Three.", "Two."}


def test_verbs_take_the_ending_of_the_third_person() -> None:
    table = {
        "carry a sack": "carries a sack",
        "play": "plays",
        "fish": "fishes",
        "go home": "goes home",
        "have a cat": "has a cat",
        "sew": "sews",
    }
    assert {phrase: third(phrase) for phrase in table} == table
