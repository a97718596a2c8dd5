"""Curves and samples of a training: what belongs together in one chart, and texts from its beginning to its end."""

from storage.report.trainings import Training, spread, trainings
from storage.report.way import way_to
from storage.snapshot import Snapshot

from .conftest import Shop, metrics, model, rollouts

Made = dict[str, Snapshot]


def of(shop: Shop, snapshot: Snapshot) -> Training:
    return trainings(way_to(shop.store, snapshot))[-1]


def test_every_training_on_the_way_has_its_curves(shop: Shop, made: Made) -> None:
    assert [one.station.label for one in trainings(way_to(shop.store, made["grpo"]))] == ["pretrain", "sft_first", "sft", "grpo"]


def test_validation_is_drawn_over_what_it_validates_and_speed_is_no_figure_of_a_model(shop: Shop, made: Made) -> None:
    found = of(shop, made["pretrain"])
    assert [one.names for one in found.charts] == [("loss", "validation_loss"), ("perplexity",)]
    assert [one.names for one in found.more] == [("lr",)]
    loss = found.charts[0]
    assert loss.lasts == ((299.0, 5 / 300), (299.0, 4.0))
    assert loss.drawing is not None
    assert [shape.kind for shape in loss.drawing.shapes].count("line raw") == 1, "a long line stays behind its mean"
    assert "logarithmic" in found.charts[1].meaning
    rate = found.more[0].drawing
    assert rate is not None
    assert [shape.kind for shape in rate.shapes] == ["line", "marker"], "what never changes needs no mean"
    assert dict(found.figures)["loss"] == 0.5


def test_a_validation_alone_has_a_chart_of_its_own_and_what_was_never_measured_none(shop: Shop) -> None:
    curve = metrics(3, validation_loss=lambda step: 2.0, perplexity=lambda step: 0.0, kl=lambda step: None)
    found = of(shop, shop.add(shop.run("x"), "distill", model(metrics=curve)))
    assert [one.title for one in found.charts] == ["validation loss", "perplexity"]
    assert "logarithmic" not in found.charts[1].meaning, "nothing at 0 has a place on such a scale"


def test_rewards_of_both_answers_share_a_chart(shop: Shop) -> None:
    curve = metrics(3, rejected_reward=lambda step: -1.0, chosen_reward=lambda step: 1.0, loss=lambda step: 0.5)
    found = of(shop, shop.add(shop.run("x"), "dpo", model(metrics=curve)))
    assert [one.names for one in found.charts] == [("loss",), ("chosen_reward", "rejected_reward")]


def test_nan_is_counted(shop: Shop, made: Made) -> None:
    assert {one.title: one.wrong for one in of(shop, made["grpo"]).charts} == {"reward": 0, "kl": 1, "entropy": 0}


def test_samples_are_spread_over_the_training_with_its_first_and_last_step(shop: Shop, made: Made) -> None:
    found = of(shop, made["pretrain"])
    [sample] = found.samples
    assert found.steps == 8
    assert [step for step, _, _ in sample.written] == [0, 20, 40, 50, 299]
    assert sample.written[-1][1] == "last words"
    assert spread([1, 2, 3], 5) == [1, 2, 3]
    assert spread(list(range(101)), 3) == [0, 50, 100]


def test_of_its_own_answers_the_first_and_the_last_are_shown_with_what_they_earned(shop: Shop, made: Made) -> None:
    drawn = of(shop, made["grpo"]).drawn
    assert [one.prompt for one in drawn] == [f"What is {n} + {step}?" for step in (0, 5) for n in range(3)]
    assert drawn[0].written == ((0, "It is 0.", 1.0), (0, "It is 1.", 0.0))
    assert not of(shop, made["sft"]).drawn


def test_answers_of_one_step_alone_are_shown_once(shop: Shop) -> None:
    files = model(metrics=metrics(1, reward=lambda step: 1.0)) | {"rollouts-00000.parquet": rollouts([0])}
    assert len(of(shop, shop.add(shop.run("x"), "rejection", files)).drawn) == 3
