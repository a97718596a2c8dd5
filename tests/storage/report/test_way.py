"""The way to a model: what it descends from, its line of models, and what was measured beside it."""

import pytest

from storage.problem import Problem
from storage.report.way import way_to
from storage.snapshot import Snapshot

from .conftest import Shop, model

Made = dict[str, Snapshot]


def references(some: object) -> set[str]:
    return {one.reference for one in some}  # type: ignore[attr-defined]


def test_the_line_goes_from_the_base_to_the_model_and_leaves_others_out(shop: Shop, made: Made) -> None:
    way = way_to(shop.store, made["grpo"])
    assert [one.label for one in way.line] == ["pretrain", "sft_first", "sft", "grpo"]
    assert made["other"].reference not in way.stations
    order = ("records", "c4", "corpus", "pack", "pretrain", "world", "sft_first", "sft", "grpo")
    assert list(way.stations) == [made[name].reference for name in order], "in the order of the making"
    assert [one.label for one in way_to(shop.store, made["pretrain"]).line] == ["pretrain"]


def test_models_of_one_name_are_told_apart(shop: Shop, made: Made) -> None:
    again = shop.add(shop.run("posttrain"), "sft", model(), {"model": made["sft"].reference})
    line = [one.label for one in way_to(shop.store, again).line]
    assert line == ["pretrain", "sft_first", f"sft {made['sft'].key[:4]}", f"sft {again.key[:4]}"]


def test_measurements_are_those_of_models_on_the_line(shop: Shop, made: Made) -> None:
    way = way_to(shop.store, made["grpo"])
    assert references(way.evaluations) == references(made[name] for name in ("old", "before", "between", "after"))
    assert references(way.cards) == {made["card"].reference}
    assert references(way.boards) == {made["arena"].reference}
    assert references(way.recalls) == {made["recall"].reference}
    assert references(way.assessments) == {made["assess"].reference}
    base = way_to(shop.store, made["pretrain"])
    assert references(base.evaluations) == references(made[name] for name in ("old", "before"))
    assert not base.boards, "the base model fought nobody"
    assert not base.cards, "what it became is another's score"


def test_a_run_that_found_an_artifact_made_is_not_the_one_that_made_it(shop: Shop, made: Made) -> None:
    corpus = way_to(shop.store, made["grpo"]).stations[made["corpus"].reference]
    assert corpus.made is not None
    assert corpus.made.seconds == 60
    assert corpus.run is not None
    assert corpus.run.flow == "pretrain"


def test_only_runs_that_made_something_of_it_are_named(shop: Shop, made: Made) -> None:
    assert [one.flow for one in way_to(shop.store, made["grpo"]).runs] == ["pretrain", "assistant", "posttrain", "align"]
    alone = shop.add(shop.run("alone"), "gguf", {"model.gguf": b"GGUF"})
    assert [one.flow for one in way_to(shop.store, alone).runs] == ["alone"]


def test_what_holds_no_weights_is_refused_with_what_would_do(shop: Shop, made: Made) -> None:
    with pytest.raises(Problem, match=r"holds no weights.*expected a model such as pretrain"):
        way_to(shop.store, made["corpus"])


def test_without_run_records_the_model_stands_alone(shop: Shop, made: Made) -> None:
    for name in shop.store.sizes("runs"):
        shop.store.remove(f"runs/{name}")
    way = way_to(shop.store, made["sft"])
    assert list(way.stations) == [made["sft"].reference]
    assert not way.nodes
    assert not way.runs
    assert way.stations[made["sft"].reference].recipe["config"] == {"seed": 2}


def test_an_input_that_the_store_no_longer_has_is_known_by_its_reference(shop: Shop) -> None:
    gone = "pretrain/0123456789ab@ba9876543210"
    tuned = shop.add(shop.run("posttrain"), "sft", model(), {"model": gone, "files": "file:0011"})
    way = way_to(shop.store, tuned)
    assert [one.reference for one in way.line] == [gone, tuned.reference]
    assert way.stations[gone].snapshot is None
    assert "file:0011" not in way.stations
