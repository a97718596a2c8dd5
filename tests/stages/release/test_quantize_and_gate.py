"""A model to GGUF files, and each compared with the model."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from models.formats.gguf_read import load_gguf, open_gguf
from models.formats.pretrained import load_model, read_shape
from models.quantization.footprint import contents
from models.quantization.mixture import FILE_TYPES, FileType
from models.transformer.shape import Experts
from stages.release import gate, importance, integers, quantize
from stages.release.gate import GateConfig
from stages.release.importance import ImportanceConfig
from stages.release.integers import IntegersConfig
from stages.release.quantize import QuantizeConfig
from storage.problem import Problem
from tests.stages.release.released import SHAPE, written_model, written_text


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A model, text, and what quantization made of them."""
    folder = tmp_path_factory.mktemp("release")
    inputs: dict[str, Any] = {
        "model": written_model(folder / "model"),
        "training": written_text(folder / "training.parquet"),
        "held_out": written_text(folder / "held_out.parquet", seed=1),
        "compute": {"threads": "1"},
    }
    for name in ("importance", "quantized", "quantized_rtn"):
        (folder / name).mkdir()
    importance.run(inputs, folder / "importance", ImportanceConfig(documents=5, tokens=500))
    inputs["importance"] = folder / "importance"
    config = QuantizeConfig(types=("F16", "Q8_0", "Q6_K", "Q4_K_M", "Q4_0"), name="river", license="apache-2.0")
    inputs["figures"] = quantize.run(inputs, folder / "quantized", config)
    integers.run(inputs, folder / "quantized_rtn", IntegersConfig(method="rtn", bits=8, group_size=64))
    return inputs | {"quantized": folder / "quantized", "quantized_rtn": folder / "quantized_rtn"}


def test_there_is_a_file_of_each_type_and_its_tensors_are_listed(made: dict[str, Any]) -> None:
    folder = made["quantized"]
    assert sorted(path.name for path in folder.glob("*.gguf")) == sorted(
        f"river-{one}.gguf" for one in ("F16", "Q8_0", "Q6_K", "Q4_K_M", "Q4_0")
    )
    table = pl.read_parquet(folder / "tensors.parquet")
    for (name,), rows in table.group_by("file"):
        file = open_gguf(folder / str(name))
        assert dict(rows.select("tensor", "kind").iter_rows()) == dict(file.kinds)
        assert dict(rows.select("tensor", "bytes").iter_rows()) == {one.name: one.n_bytes for one in file.tensors.values()}
    file = open_gguf(folder / "river-Q4_K_M.gguf")
    assert file.metadata["general.license"] == "apache-2.0"
    assert file.metadata["quantize.imatrix.entries_count"] == 14
    assert file.metadata["tokenizer.chat_template"].startswith("{{ bos_token }}")
    assert "quantize.imatrix.entries_count" not in open_gguf(folder / "river-Q8_0.gguf").metadata
    assert made["figures"]["bytes_Q8_0"] == (folder / "river-Q8_0.gguf").stat().st_size


def test_sizes_are_known_without_writing(made: dict[str, Any]) -> None:
    shape = read_shape(made["model"])
    for file_type in FILE_TYPES:
        path = made["quantized"] / f"river-{file_type}.gguf"
        if path.exists():
            assert {one.tensor: one.bytes for one in contents(shape, file_type)} == {
                name: one.n_bytes for name, one in open_gguf(path).tensors.items()
            }


def test_variants_with_fewer_bits_are_further_from_the_model(made: dict[str, Any], tmp_path: Path) -> None:
    figures = gate.run(made, tmp_path, GateConfig(tokens=1500, factor=1e6))
    order = ["kl river-F16.gguf", "kl river-Q8_0.gguf", "kl river-Q6_K.gguf", "kl river-Q4_K_M.gguf", "kl river-Q4_0.gguf"]
    kls = [figures[name] for name in order]
    assert kls == sorted(kls)
    assert 0 < kls[0] < 1e-5
    assert 0 < figures["kl rtn-int8"] < figures["kl river-Q6_K.gguf"]
    table = pl.read_parquet(tmp_path / "variants.parquet")
    assert table["variant"][0] == "full precision"
    assert (table["kl"][0], table["same_top"][0], table["perplexity_ratio"][0]) == (0, 1, 1)
    assert table["bits_per_weight"].is_between(4, 33).all()
    assert table["perplexity_error"].is_between(0, table["perplexity"]).all()
    errors = pl.read_parquet(tmp_path / "errors.parquet")
    assert set(errors["variant"]) == set(table["variant"][1:])
    mine = errors.filter(variant="river-Q4_0.gguf", tensor="blocks.0.feed_forward.up.weight").row(0, named=True)
    before = dict(load_model(made["model"]).named_parameters())[mine["tensor"]]
    after = dict(load_gguf(made["quantized"] / "river-Q4_0.gguf").named_parameters())[mine["tensor"]]
    assert mine["kind"] == "Q4_0"
    assert mine["relative_error"] == pytest.approx(float(((after - before).norm() / before.norm()).detach()), rel=1e-4)
    text = (tmp_path / "table.md").read_text()
    assert "| river-Q4_K_M.gguf |" in text
    assert "- river-Q4_K_M.gguf: Q4_K 12, Q6_K 3" in text


def test_a_variant_that_is_too_far_stops_the_release_and_names_tensors(made: dict[str, Any], tmp_path: Path) -> None:
    bounds = {"F16": 1.0, "Q8_0": 1.0, "Q6_K": 1.0, "Q4_0": 1.0, "rtn-int8": 1.0, "Q4_K_M": 1e-9}
    with pytest.raises(Problem, match=r"river-Q4_K_M.gguf is .* expected 1.00e-09 at most.*blocks\.\d.*\(Q4_K, \d") as refusal:
        gate.run(made, tmp_path, GateConfig(tokens=300, bounds=bounds))
    assert "Q8_0" not in str(refusal.value)
    gate.run(made, tmp_path, GateConfig(tokens=300, bounds={**bounds, "Q4_K_M": 1.0}))


def test_a_damaged_variant_does_not_pass(made: dict[str, Any], tmp_path: Path) -> None:
    whole = (made["quantized"] / "river-Q8_0.gguf").read_bytes()
    (tmp_path / "river-Q8_0.gguf").write_bytes(whole[:-40_000] + bytes(40_000))
    inputs = {**made, "quantized": tmp_path}
    inputs.pop("quantized_rtn")
    with pytest.raises(Problem, match=r"Largest relative errors: blocks\.1\."):
        gate.run(inputs, tmp_path, GateConfig(tokens=300, factor=50))


def test_what_is_missing_is_said(made: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no held-out text"):
        gate.run({"model": made["model"]}, tmp_path, GateConfig())
    with pytest.raises(Problem, match="no quantized model"):
        gate.run({"model": made["model"], "held_out": made["held_out"]}, tmp_path, GateConfig(tokens=300))
    for wrong in ("q4_k_m", "Q4_KM"):
        with pytest.raises(Problem, match=f"bounds names {wrong}; expected one of F32, F16"):
            gate.run(made, tmp_path, GateConfig(tokens=300, bounds={wrong: 1.0}))
    (tmp_path / "river-Q3_K.gguf").write_bytes(b"")
    with pytest.raises(Problem, match="Q3_K has no typical divergence"):
        gate.run({"model": made["model"], "held_out": made["held_out"], "quantized": tmp_path}, tmp_path, GateConfig(tokens=300))


def test_a_mixture_of_experts_goes_the_same_way(tmp_path: Path) -> None:
    shape = replace(SHAPE, experts=Experts(count=3, active=2, hidden=256))
    inputs: dict[str, Any] = {
        "model": written_model(tmp_path / "model", shape),
        "training": written_text(tmp_path / "training.parquet"),
        "held_out": written_text(tmp_path / "held_out.parquet", seed=1),
        "compute": {"threads": "1"},
    }
    importance.run(inputs, tmp_path, ImportanceConfig(documents=5, tokens=300))
    types: tuple[FileType, ...] = ("Q4_K_M",)
    quantize.run({**inputs, "importance": tmp_path}, tmp_path, QuantizeConfig(types=types))
    figures = gate.run({**inputs, "quantized": tmp_path}, tmp_path, GateConfig(tokens=500, factor=1e6))
    assert 0 < figures["kl model-Q4_K_M.gguf"] < 1


def test_of_several_chat_templates_the_default_one_is_taken(tmp_path: Path) -> None:
    config = tmp_path / "tokenizer_config.json"
    named = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "plain"}]
    config.write_text(json.dumps({"chat_template": named}))
    assert quantize.chat_template(tmp_path) == "plain"
    config.write_text(json.dumps({"chat_template": named[:1]}))
    with pytest.raises(Problem, match="a list of chat templates and none of the name default"):
        quantize.chat_template(tmp_path)


def test_small_models_may_lose_more_unless_it_is_said_how_much() -> None:
    assert GateConfig().bound("Q8_0", 10_000_000) == pytest.approx(2e-4)
    assert GateConfig().bound("Q8_0", 9_999_999) == pytest.approx(1.2e-3)
    assert GateConfig(factor=2).bound("Q8_0", 9_999_999) == pytest.approx(8e-5)
    assert GateConfig(bounds={"Q8_0": 1.0}).bound("Q8_0", 1) == 1
