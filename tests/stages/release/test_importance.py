"""Importance: what each column is multiplied by."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from models.formats.pretrained import load_model
from models.quantization.activations import column_importance
from models.transformer.shape import Experts
from stages.release.importance import FILE, ImportanceConfig, read_importance, run
from storage.problem import Problem
from tests.stages.release.released import SHAPE, written_model, written_text

CONFIG = ImportanceConfig(documents=5, tokens=300, row_length=32)


def test_mean_squares_are_those_of_the_inputs(tmp_path: Path) -> None:
    model = load_model(written_model(tmp_path)).eval()
    tokens = torch.arange(4 * 30).view(4, 30) % 300
    found = column_importance(model, [tokens[:1], tokens[1:]])
    assert len(found) == 2 * 7
    with torch.inference_mode():
        x = model.blocks[0].attention_norm(model.embedding(tokens))
    for one in "qkv":
        mine = found[f"blocks.0.attention.{one}.weight"]
        assert mine.tokens.tolist() == [120]
        assert np.allclose(mine.mean_square, x.square().mean((0, 1)).numpy(), rtol=1e-5)
    assert found["blocks.1.feed_forward.down.weight"].mean_square.shape == (256,)


def test_each_expert_is_measured_on_its_own_tokens(tmp_path: Path) -> None:
    shape = replace(SHAPE, experts=Experts(count=6, active=2, hidden=64))
    model = load_model(written_model(tmp_path, shape)).eval()
    tokens = torch.arange(40)[None]
    with torch.no_grad():
        model.blocks[1].feed_forward.router.weight.zero_()  # all choose the same two
    found = column_importance(model, [tokens])
    gate = found["blocks.0.feed_forward.gate"]
    assert gate.mean_square.shape == (6, 256)
    assert gate.tokens.sum() == 80
    lone = found["blocks.1.feed_forward.down"]
    assert sorted(lone.tokens.tolist()) == [0, 0, 0, 0, 40, 40]
    assert (lone.mean_square[lone.tokens == 0] == 1).all()
    seen = []
    handle = model.blocks[0].feed_forward.register_forward_pre_hook(lambda module, given: seen.append(given[0][0]))
    with torch.no_grad():
        model.hidden(tokens)
    handle.remove()
    chosen = model.blocks[0].feed_forward.router(seen[0]).topk(2).indices
    for expert in range(6):
        mine = seen[0][(chosen == expert).any(-1)]
        if len(mine):
            assert np.allclose(gate.mean_square[expert], mine.square().mean(0).detach().numpy(), rtol=1e-4)


def test_the_stage_writes_the_same_table_each_time_and_it_is_read_back(tmp_path: Path) -> None:
    inputs = {
        "model": written_model(tmp_path / "model"),
        "training": written_text(tmp_path / "text.parquet"),
        "compute": {"threads": "1"},
    }
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        figures = run(inputs, tmp_path / name, CONFIG)
    assert (tmp_path / "one" / FILE).read_bytes() == (tmp_path / "two" / FILE).read_bytes()
    assert figures == {"tokens": 288, "matrices": 14, "unreached_experts": 0}
    table = pl.read_parquet(tmp_path / "one" / FILE)
    assert table["expert"].null_count() == 14
    found = read_importance(tmp_path / "one")
    assert found["blocks.0.attention.o.weight"].shape == (256,)
    assert all((values > 0).all() for values in found.values())


def test_experts_keep_their_numbers_on_the_way(tmp_path: Path) -> None:
    shape = replace(SHAPE, experts=Experts(count=3, active=2, hidden=64))
    inputs = {
        "model": written_model(tmp_path / "model", shape),
        "training": written_text(tmp_path / "text.parquet"),
        "compute": {"threads": "1"},
    }
    run(inputs, tmp_path, CONFIG)
    assert read_importance(tmp_path)["blocks.1.feed_forward.down"].shape == (3, 64)


def test_without_text_there_is_nothing_to_measure(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no text to measure on"):
        run({"model": written_model(tmp_path)}, tmp_path, CONFIG)
    with pytest.raises(Problem, match="expected a row of 64 at least"):
        run({"model": tmp_path, "training": _short(tmp_path)}, tmp_path, ImportanceConfig(row_length=64))


def _short(folder: Path) -> Path:
    pl.DataFrame({"text": ["the river"]}).write_parquet(folder / "short.parquet")
    return folder / "short.parquet"
