"""Costs, sizes, scores, seeds and funnels: what the store says, and nothing that it does not."""

import pytest

from storage.problem import Problem
from storage.report import cost, funnels, scores, settings, sizes
from storage.report.contents import contents, document
from storage.report.way import way_to
from storage.snapshot import Snapshot

from .conftest import Shop, model, weights
from .conftest import scores as scored

Made = dict[str, Snapshot]


def test_hours_are_wall_time_times_what_the_training_says_it_had(shop: Shop, made: Made) -> None:
    costs = {one.station.label: one for one in contents(shop.store, made["grpo"]).costs}
    assert costs["pretrain"].cpu_thread_hours == 6.0, "an hour, two processes of three threads"
    assert costs["pretrain"].gpu_hours is None
    assert costs["grpo"].gpu_hours == 2.0, "half an hour on four"
    assert costs["grpo"].cpu_thread_hours is None


def test_nothing_is_invented_for_a_stage_that_does_not_say_on_what_it_computed(shop: Shop, made: Made) -> None:
    found = contents(shop.store, made["pretrain"])
    corpus = next(one for one in found.costs if one.station.label == "corpus")
    assert (corpus.seconds, corpus.cpu_thread_hours, corpus.gpu_hours, corpus.computed_on) == (60, None, None, None)
    assert found.sums.cpu_thread_hours == 6.0
    assert found.sums.unnamed_seconds == 60 + 2 + 60 + 60
    assert found.sums.seconds == 3600 + 182
    assert found.sums.unrecorded == 0


def test_what_no_run_computed_has_no_cost(shop: Shop) -> None:
    run = shop.run("posttrain")
    tuned = shop.add(run, "sft", model(), stats={"computed_on": "cpu, 2 threads, torch 2.13.0"}, cached=True, seconds=5)
    found = contents(shop.store, tuned)
    assert found.costs[0].seconds is None
    assert found.sums.unrecorded == 1
    computed = shop.add(run, "grpo", model(), stats={"computed_on": "cpu, 2 threads, torch 2.13.0"}, seconds=1800)
    assert cost.cost_of(way_to(shop.store, computed).line[-1]).cpu_thread_hours == 1.0


def test_scores_stand_beside_each_other_in_the_order_of_the_making(shop: Shop, made: Made) -> None:
    [table] = scores.evaluations(way_to(shop.store, made["grpo"]))
    assert table.columns == ("pretrain", "sft_first", "sft")
    known, unknown = table.rows
    assert [one and one.value for one in known.values] == [0.25, 0.5, 0.75]
    assert (known.part, known.metric, known.chance, known.change) == ("known", "right", 0.05, 0.5)
    assert unknown.change == -0.5
    assert [one.reference for one in table.others] == [made["old"].reference], "the newest counts, the other is named"


def test_what_was_asked_differently_stands_in_another_table_and_what_was_not_asked_is_empty(shop: Shop, made: Made) -> None:
    run = shop.run("posttrain")
    for asked, model_, found in (
        ("x", "pretrain", scored(a__right=0.1)),
        ("x", "sft", scored(b__right=0.2)),
        ("y", "sft", scored(b__right=0.3)),
    ):
        inputs = {"model": made[model_].reference, "prompts": f"file:{asked}"}
        shop.add(run, f"evaluate_{asked}_{model_}", {"scores.parquet": found}, inputs, stage="evaluate_reasoning")
    _, x, y = scores.evaluations(way_to(shop.store, made["sft"]))
    assert (x.columns, y.columns) == (("pretrain", "sft"), ("sft",))
    assert [(row.part, [one and one.value for one in row.values]) for row in x.rows] == [("b", [None, 0.2]), ("a", [0.1, None])]
    assert x.rows[0].change is None


def test_the_figures_that_an_evaluation_names_first_stand_first(shop: Shop, made: Made) -> None:
    run = shop.run("pretrain")
    for label, right in (("pretrain", 0.1), ("sft", 0.2)):
        found = {"scores.parquet": scored(a__right=right, b__right=0.5, c__right=0.5, d__right=0.5)}
        stats = {"right": right, "questions": 7, **({"late": 0.3} if label == "sft" else {})}
        shop.add(run, f"evaluate_{label}", found, {"model": made[label].reference}, stage="evaluate_base", stats=stats)
    chat, base = scores.evaluations(way_to(shop.store, made["sft"]))
    assert base.main == (("late", (None, 0.3)), ("right", (0.1, 0.2)))
    assert chat.main == ()


def test_cards_boards_and_recall_are_shown_as_measured(shop: Shop, made: Made) -> None:
    way = way_to(shop.store, made["grpo"])
    [card] = scores.cards(way)
    assert (card.columns, card.seeds) == (("base", "chat"), 3)
    assert [one and one.value for one in card.rows[0].values] == [0.25, 0.75]
    [board] = scores.boards(way)
    assert board.columns == ("model", "rating", "low"), "a column in which nothing is known is left out"
    assert board.rows[0] == ("after", 1040.0, 1000.0)
    assert board.note == "after is grpo; before is sft"
    [recall] = scores.recalls(way)
    assert recall.rows[0].metric == "recall"


def test_a_damaged_score_file_is_named(shop: Shop, made: Made) -> None:
    shop.store.write(f"{made['after'].folder}/scores.parquet", b"PAR1 no more")
    with pytest.raises(Problem, match=r"scores\.parquet has changed"):
        contents(shop.store, made["sft"])


def test_parameters_are_counted_in_the_headers_of_the_weights(shop: Shop, made: Made) -> None:
    found = {one.station.label: one for one in sizes.models(way_to(shop.store, made["grpo"]))}
    assert [*found] == ["pretrain", "sft_first", "sft", "grpo"]
    assert found["pretrain"].parameters == 8 * 4 + 4
    assert found["pretrain"].adapter is None
    assert found["grpo"].adapter == 6
    assert (found["pretrain"].tokens, found["sft"].tokens, found["grpo"].tokens) == (4000, 50, None)
    assert contents(shop.store, made["grpo"]).tokens == 4000 + 50 + 50


def test_weights_that_cannot_be_read_have_no_number(shop: Shop) -> None:
    run = shop.run("pretrain")
    split = shop.add(run, "pretrain", {"model-1.safetensors": weights((3,)), "model-2.safetensors": b"\xff" * 30})
    assert sizes.models(way_to(shop.store, split))[0].parameters is None
    packed = shop.add(run, "gguf", {"model.gguf": b"GGUF"})
    assert sizes.models(way_to(shop.store, packed))[0].bytes == 4


def test_shape_and_data_say_what_is_there(shop: Shop, made: Made) -> None:
    assert sizes.shape(shop.store, made["grpo"]) == {"architecture": "qwen3", "layers": 2, "width": 4, "vocabulary": 8}
    assert sizes.shape(shop.store, made["corpus"]) == {}
    found = {one.station.label: one for one in sizes.data(way_to(shop.store, made["pretrain"]))}
    assert [*found] == ["corpus", "pack"]
    assert (found["pack"].tokens, found["pack"].text_bytes) == (900, 3000)


def test_seeds_are_those_of_every_stage(shop: Shop, made: Made) -> None:
    found = [(one.label, name, value) for one, name, value in settings.seeds(way_to(shop.store, made["grpo"]))]
    assert found == [("pretrain", "seed", 7), ("sft_first", "seed", 1), ("sft", "seed", 2), ("grpo", "seed", 5)]
    assert dict(settings.flat({"a": {"b": 1, "c": {}}, "d": [2]})) == {"a.b": 1, "a.c": {}, "d": [2]}


def test_a_funnel_follows_the_documents_and_leads_into_the_page(shop: Shop, made: Made) -> None:
    way = way_to(shop.store, made["grpo"])
    [one] = funnels.funnels(way)
    assert [passage.snapshot.stage for passage in one.passages] == ["records", "c4", "corpus"]
    assert (one.seen, one.kept) == (3, 1)
    assert one.passages[1].losses[0].path == f"#{way.stations[made['c4'].reference].anchor}"
    assert contents(shop.store, made["grpo"]).corpus == (3, 1)


def test_the_object_for_programs_names_what_the_page_shows(shop: Shop, made: Made) -> None:
    found = document(contents(shop.store, made["grpo"]))
    assert found["line"] == [made[name].reference for name in ("pretrain", "sft_first", "sft", "grpo")]
    assert found["cost"]["gpu_hours"] == 2.0
    assert found["models"][-1]["adapter"] == 6
    assert {"artifact": made["pretrain"].reference, "setting": "seed", "seed": 7} in found["seeds"]
    assert found["funnels"][0][0] == {"artifact": made["records"].reference, "seen": 3, "kept": 2}
    assert [one["title"] for one in found["scores"]] == ["evaluate_chat", "scorecard", "recall"]
