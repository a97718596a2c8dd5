"""Rendered preferences as a training reads them."""

from pathlib import Path

import polars as pl
import pytest
import torch

from models.tokenizer import bytelevel
from models.tokenizer.load import made
from models.transformer.shape import Shape
from models.transformer.world import World
from stages.alignment.comparisons import comparisons, cut, spread
from stages.alignment.preferences import PREFERENCES
from stages.compute import Compute
from stages.stage import Input
from stages.tokens.vocabulary import vocabulary
from storage.problem import Problem
from tests.stages.alignment import pair_worlds
from tests.stages.posttraining import sft_worlds

SHAPE = Shape(vocab=300, width=16, layers=1, heads=2, kv_heads=1, head_width=8, hidden=32, context=96)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def given(vocabulary_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Input:
    return pair_worlds.rendered(tmp_path_factory.mktemp("pairs") / "rendered", sft_worlds.listed(vocabulary_folder))


def test_pairs_of_one_order_are_one_comparison_whose_answers_are_read_once(given: Input, vocabulary_folder: Path) -> None:
    known = vocabulary(vocabulary_folder)
    apart, joined = (comparisons(given, known, 96, ranked) for ranked in (False, True))
    assert (len(apart.train), len(joined.train), len(joined.held_out)) == (50, 40, 12)
    order = joined.train[-1]
    assert (len(order.answers), order.pairs) == (3, ((0, 1), (0, 2)))
    assert {len(one.answers) for one in apart.train} == {2}
    assert apart.digest != joined.digest


def test_each_epoch_reads_every_comparison_once_in_an_order_of_its_own(given: Input, vocabulary_folder: Path) -> None:
    found = comparisons(given, vocabulary(vocabulary_folder), 96, ranked=True)
    first, second = ([one.ids for one in found.training(begin, 40, 0)] for begin in (0, 40))
    assert sorted(first) == sorted(second) == sorted(one.ids for one in found.train)
    assert first != second
    assert [one.ids for one in found.training(30, 20, 0)] == first[30:] + second[:10]
    assert [one.ids for one in found.training(0, 40, 1)] != first


def test_a_step_is_shared_out_and_cut_without_losing_a_comparison(given: Input, vocabulary_folder: Path) -> None:
    found = comparisons(given, vocabulary(vocabulary_folder), 96, ranked=True)
    mine = [cut(found.train, SHAPE, Compute(micro_rows=5), World(rank, 2, CPU)) for rank in (0, 1)]
    every = [one.ids for batches in mine for batch in batches for one in batch]
    assert sorted(every) == sorted(one.ids for one in found.train)
    assert all(sum(len(one.answers) for one in batch) <= 5 for batches in mine for batch in batches)
    assert len(cut(found.train, SHAPE, Compute(micro_rows=1), World(0, 1, CPU))) == 40  # an order of three is never cut
    assert [one.ids for one in spread(found.train, 4)] == [found.train[place].ids for place in (0, 10, 20, 30)]
    assert spread(found.train, 100) == found.train


def test_what_cannot_be_read_is_refused(given: Input, vocabulary_folder: Path, tmp_path: Path) -> None:
    known = vocabulary(vocabulary_folder)
    with pytest.raises(Problem, match="the model's context is 20; render the preferences with row_length 20"):
        comparisons(given, known, 20, ranked=True)
    held_out = pair_worlds.preferences().filter(pl.col("split") == "validation")
    alone = pair_worlds.rendered(tmp_path / "alone", sft_worlds.listed(vocabulary_folder), held_out)
    with pytest.raises(Problem, match="found no pair to learn from"):
        comparisons(alone, known, 96, ranked=True)
    made(bytelevel.train(["What work does somebody else do? user assistant"] * 5, 290)).save(tmp_path / "other")
    foreign = pair_worlds.rendered(tmp_path / "foreign", sft_worlds.listed(tmp_path / "other"))
    with pytest.raises(Problem, match="was rendered with another tokenizer"):
        comparisons(foreign, known, 96, ranked=True)
    (tmp_path / "raw").mkdir()
    pl.DataFrame(schema=PREFERENCES).write_parquet(tmp_path / "raw" / "raw.parquet")
    with pytest.raises(Problem, match="Expected an artifact of the stage `render_preferences`"):
        comparisons(Input(tmp_path / "raw", ("raw.parquet",)), known, 96, ranked=True)
