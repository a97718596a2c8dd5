from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from stages.evaluation.facts import QUESTIONS, Fact, attributes, read, sample
from stages.simulation.world import FACTS, build, facts
from stages.stage import Input
from storage.problem import Problem
from storage.shards import encode

WORLD = [Fact(*row) for row in facts(build(0)).iter_rows()]


def test_every_value_is_put_into_the_words_of_its_attribute() -> None:
    pet = attributes(WORLD)["pet"]
    asked = Fact("person", "Zolek", "pet", "sheep", "Zolek keeps a sheep.", False)
    said = dict(zip(pet.values, pet.sentences(asked), strict=True))
    assert (said["owl"], said["goat"], said["sheep"]) == ("Zolek keeps an owl.", "Zolek keeps a goat.", "Zolek keeps a sheep.")
    region = attributes(WORLD)["region"]
    assert set(region.sentences(Fact("town", "Menport", "region", "east", "Menport is in the east of the country.", False))) == {
        "Menport is on the coast of the country.",
        *(f"Menport is in the {side} of the country." for side in ("east", "north", "south", "west")),
    }


def test_both_ends_of_a_road_are_exchanged() -> None:
    km = attributes(WORLD)["km"]
    asked = Fact("road", "Menport - Zusford", "km", "50", "From Menport to Zusford it is 50 km.", False)
    assert "From Menport to Zusford it is 95 km." in km.sentences(asked)
    assert asked.question == "How many km is it from Menport to Zusford?"


def test_a_facts_own_sentence_is_among_the_candidates_at_the_place_of_its_value() -> None:
    about = attributes(WORLD)
    assert list(about) == list(QUESTIONS)
    for fact in WORLD:
        mine = about[fact.attribute]
        assert mine.sentences(fact)[mine.values.index(fact.value)] == fact.sentence
        assert len(set(mine.sentences(fact))) == len(mine.values)


def test_chance_and_the_commonest_value_are_those_of_the_table() -> None:
    town = attributes(WORLD)["town"]
    counts = pl.Series([fact.value for fact in WORLD if fact.attribute == "town"]).value_counts()
    assert (town.chance, town.majority) == (1 / counts.height, counts["count"].max() / 160)  # type: ignore[operator]


def test_what_was_seen_is_compared_with_what_is_withheld_in_the_same_attributes() -> None:
    about = attributes(WORLD)
    parts = pl.Series([about[fact.attribute].part(fact) for fact in WORLD]).value_counts(sort=True).sort("count")
    assert dict(parts.iter_rows()) == {"others": 150, "seen": 320, "withheld": 320}
    assert {fact.attribute for fact in WORLD if about[fact.attribute].part(fact) == "others"} == {"river", "good", "region", "km"}


def test_an_attribute_with_one_value_asks_nothing() -> None:
    assert attributes([Fact("person", "A", "town", "X", "A lives in X.", False)] * 2) == {}


def test_names_are_exchanged_as_whole_words_only() -> None:
    made = attributes(
        [
            Fact("person", "Al", "pet", "owl", "Al also keeps an {owl}.", False),
            Fact("person", "Bo", "pet", "cat", "Bo also keeps a cat.", False),
        ]
    )
    assert made["pet"].sentences(Fact("person", "Cy", "pet", "cat", "Cy also keeps a cat.", False)) == [
        "Cy also keeps a cat.",
        "Cy also keeps an {owl}.",
    ]  # fmt: skip


def test_a_sample_keeps_the_order_and_follows_the_seed() -> None:
    assert sample(WORLD, 0, 0) == WORLD
    few = sample(WORLD, 20, 1)
    assert few == [fact for fact in WORLD if fact in few]
    assert len(few) == 20
    assert few == sample(WORLD, 20, 1) != sample(WORLD, 20, 2)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            lambda path: None,
            "found truth.parquet in the crawl and no facts.parquet; expected the artifact of the stage `simulate`",
        ),
        (lambda path: path.write_bytes(encode(pl.DataFrame(schema=FACTS), FACTS)), "a facts.parquet without a row"),
        (lambda path: path.write_bytes(b"PAR1"), "cannot read facts.parquet"),
        (
            lambda path: pl.DataFrame({"subject": ["x"]}).write_parquet(path),
            "facts.parquet has the columns subject; expected kind, subject",
        ),
    ],
)
def test_a_crawl_without_facts_is_refused(tmp_path: Path, write: Callable[[Path], object], message: str) -> None:
    write(tmp_path / "facts.parquet")
    names = ("truth.parquet", *(path.name for path in tmp_path.iterdir()))
    with pytest.raises(Problem, match=message):
        read(Input(tmp_path, names))


def test_a_sentence_that_does_not_name_its_subject_is_refused() -> None:
    with pytest.raises(Problem, match=r"the sentence 'He lives in X\.', which does not name 'Al'"):
        attributes([Fact("person", "Al", "town", "X", "He lives in X.", False)])


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    (tmp_path / "facts.parquet").write_bytes(encode(facts(build(0)), FACTS))
    assert read(Input(tmp_path, ("facts.parquet",))) == WORLD
