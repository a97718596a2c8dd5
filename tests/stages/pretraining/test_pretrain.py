"""The stage as a whole: what it leaves, what it refuses, and how it is set up."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from pydantic import ValidationError

from models.formats.pretrained import load_model, save_model
from models.tokenizer.load import load
from models.transformer.shape import Experts, Shape
from models.transformer.world import alone
from models.unusable import Unusable
from stages.pretraining.batches import batches
from stages.pretraining.given import first_model, open_rows
from stages.pretraining.metrics import EXPERTS, METRICS, MIXTURE, SAMPLES
from stages.pretraining.pretrain import PretrainConfig, shape_of
from stages.pretraining.validation import bytes_of_tokens, validate
from stages.stage import Input
from stages.tokens.rows import Rows
from stages.tokens.vocabulary import vocabulary
from storage.problem import Problem
from tests.stages.pretraining.packed import LENGTH, made, tokenizer, tokens, world
from tests.stages.pretraining.test_pretrain_resume import TINY, config, pretrain


def test_a_model_folder_with_its_curve_and_samples_is_left(tmp_path: Path) -> None:
    inputs = world(tmp_path)
    settings = config("mixture", dtype="fp32", steps=40, document_mask=True, prompts=["Ada sees", ""])
    stats = pretrain(inputs, tmp_path / "out", settings)
    metrics = pl.read_parquet(tmp_path / "out/metrics.parquet")
    assert dict(metrics.schema) == METRICS | MIXTURE
    assert metrics["step"].to_list() == list(range(41))
    looks = metrics.filter(pl.col("validation_loss").is_not_null())
    assert looks["step"].to_list() == [0, 20, 40]
    first, last = looks.row(0, named=True), looks.row(-1, named=True)
    assert first["validation_loss"] == pytest.approx(
        torch.tensor(300.0).log().item(), abs=0.1
    )  # an untrained model knows nothing
    assert last["validation_loss"] < first["validation_loss"] - 3
    assert last["bits_per_byte"] < first["bits_per_byte"] / 2
    steps = metrics.filter(pl.col("step") > 0)
    assert steps.select(list(METRICS)[:7]).null_count().sum_horizontal().item() == 0
    assert (steps["mfu"] > 0).all()
    assert steps["tokens"].is_sorted()
    assert steps["expert_entropy"].is_between(0, 1).all()

    samples = pl.read_parquet(tmp_path / "out/samples.parquet")
    assert dict(samples.schema) == SAMPLES
    assert samples.select("step", "prompt", "seed").rows() == [
        (step, prompt, seed) for step in (0, 20, 40) for seed, prompt in enumerate(["Ada sees", ""])
    ]
    shares = pl.read_parquet(tmp_path / "out/experts.parquet")
    assert dict(shares.schema) == EXPERTS
    assert shares.group_by("step", "layer").agg(pl.col("share").sum())["share"].to_list() == pytest.approx([1.0] * 4)

    # What is on disk is the model whose figures were reported.
    model, pieces = load_model(tmp_path / "out"), load(tmp_path / "out")
    assert pieces.pieces() == load(inputs["tokenizer"].folder).pieces()
    rows = Rows(inputs["tokens"], tmp_path / "rows", {}, 0)
    read = batches(*rows.validation(0, 100), 4, pieces.start, torch.device("cpu"))
    again = validate(model, read, bytes_of_tokens(pieces, model.shape.vocab), alone("cpu"))
    assert again["validation_loss"] == pytest.approx(last["validation_loss"], rel=1e-6)
    assert again["bits_per_byte"] == pytest.approx(stats["bits_per_byte"], rel=1e-6)
    assert stats["steps"] == 40
    assert stats["parameters"] == sum(weight.numel() for weight in model.parameters())
    assert "1 x 1 threads" in stats["computed_on"]


def opened(inputs: dict[str, Any], out: Path, settings: PretrainConfig) -> Any:
    known = vocabulary(inputs["tokenizer"])
    rows = open_rows(inputs["tokens"], out, settings, known)
    return first_model(inputs, settings, known.tokenizer, rows.row_length)


def test_a_model_that_is_given_is_gone_on_from(tmp_path: Path) -> None:
    inputs = world(tmp_path)
    known = vocabulary(inputs["tokenizer"]).tokenizer
    model, _ = opened(inputs, tmp_path, config("dense"))
    save_model(model, tmp_path / "first", start=known.start, stops=known.stops, pad=known.pad)
    known.save(tmp_path / "first")
    given = {**inputs, "model": made(tmp_path / "first")}
    plain = PretrainConfig(steps=5, dtype="fp32")
    for folder in (given["model"], tmp_path / "first"):
        found, begun = opened({**given, "model": folder}, tmp_path, plain)
        assert all(torch.equal(weight, other) for weight, other in zip(found.parameters(), model.parameters(), strict=True))
        assert begun.startswith("weights ")
    with pytest.raises(Problem, match=r"shape \{'width': 64\} and a model to go on from are both given"):
        opened(given, tmp_path, PretrainConfig(steps=5, shape={"width": 64}))
    other = tokenizer(tmp_path / "other", seed=5)
    with pytest.raises(Problem, match="has another tokenizer than the one given"):
        opened({**given, "tokenizer": other, "tokens": tokens(tmp_path / "others", other)}, tmp_path, plain)
    longer = tokens(tmp_path / "longer", inputs["tokenizer"], length=2 * LENGTH)
    with pytest.raises(Problem, match=r"the rows are 64 tokens long, the model's context is 32"):
        opened({**given, "tokens": longer}, tmp_path, plain)


def test_what_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    inputs = world(tmp_path)
    other = tokenizer(tmp_path / "other", seed=5)
    with pytest.raises(Problem, match=r"packed with another tokenizer: vocabulary \w+, found \w+"):
        opened({**inputs, "tokenizer": other}, tmp_path, config("dense"))
    with pytest.raises(Problem, match=r"the tokenizer has 300 tokens, the model's vocabulary is 299; .*smaller tokenizer"):
        opened(inputs, tmp_path, PretrainConfig(shape=TINY | {"vocab": 299}))
    with pytest.raises(Problem, match="the context 33 is longer than any row, which has 32 tokens"):
        opened(inputs, tmp_path, PretrainConfig(shape=TINY | {"context": 33}))
    with pytest.raises(Problem, match="the rows are 32 tokens long, the model's context is 31"):
        opened(inputs, tmp_path, PretrainConfig(shape=TINY | {"context": 31}))
    with pytest.raises(Problem, match="mixture weights for books"):
        opened(inputs, tmp_path, config("dense", mixture={"books": 1.0}))
    with pytest.raises((Problem, Unusable), match="tokenizer"):
        opened({**inputs, "tokenizer": Input(tmp_path, ())}, tmp_path, config("dense"))
    shard = inputs["tokens"].folder / "train-00000.parquet"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(Problem, match=r"train-00000\.parquet is damaged"):
        opened(inputs, tmp_path, config("dense"))


def test_rows_that_are_none_are_refused(tmp_path: Path) -> None:
    inputs = world(tmp_path)
    given = inputs["tokens"]
    without = Input(given.folder, tuple(name for name in given.names if not name.startswith("train")))
    with pytest.raises(Problem, match="no row to train on"):
        opened({**inputs, "tokens": without}, tmp_path, config("dense"))


@pytest.mark.slow
def test_problems_come_out_of_the_job_with_their_text(tmp_path: Path) -> None:
    inputs = world(tmp_path)
    with pytest.raises(Problem, match=r"^the context 33 is longer than any row"):
        pretrain(inputs, tmp_path / "a", PretrainConfig(shape=TINY | {"context": 33}))
    with pytest.raises(Problem, match=r"^2 rows a step for 3 processes"):
        pretrain(inputs, tmp_path / "b", config("dense", rows=2), processes=3)
    with pytest.raises(
        Problem, match=r"^step \d+: the (loss|norm).*last good checkpoint is .*step-\d+.* Its model is in .*\.last-good"
    ):
        pretrain(
            inputs, tmp_path / "c", config("dense", optimizer="adamw", rate=1e30, warmup=0, clip=0, validation_every=0),
            checkpoint_steps=1,
        )  # fmt: skip
    good = load_model(tmp_path / "c/.last-good")
    assert all(weight.isfinite().all() for weight in good.parameters())
    with pytest.raises(Problem, match=r"checkpoint of another training: settings .*Remove .*\.checkpoints to begin anew"):
        pretrain(inputs, tmp_path / "c", config("dense", seed=9))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"preset": "huge"}, "no preset is called 'huge'; expected one of demo"),
        ({"warmup": 0.7, "decay": 0.7}, "overlap"),
        ({"mixture": {"a": -1.0}}, "expected positive numbers"),
        ({"shape": {"heads": 3, "kv_heads": 2}}, "3 query heads over 2 key-value heads"),
        ({"shape": {"experts": {"count": 2, "active": 3, "hidden": 8}}}, "3 active of 2 experts"),
        ({"shape": {"hats": 3}}, "Extra inputs"),
        ({"rows": 0}, "greater than or equal to 1"),
        ({"beta1": 1.0}, "less than 1"),
        ({"dtype": "fp16"}, "'bf16' or 'fp32'"),
        ({"learning_rate": 1e-3}, "Extra inputs"),
    ],
)
def test_nonsense_is_refused_before_anything_runs(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        PretrainConfig(**given)


def test_a_budget_of_tokens_is_whole_steps() -> None:
    assert PretrainConfig(tokens=1000, rows=4).plan(32).steps == 8
    assert PretrainConfig(tokens=1025, rows=4).plan(32).steps == 9
    assert PretrainConfig(steps=7, tokens=1000).plan(32).steps == 7
    assert PretrainConfig(rows=16).plan(256).steps == -(-5_000_000 // 4096)


def test_shapes_are_a_preset_with_changes() -> None:
    assert shape_of(PretrainConfig(preset="small"), 1000, 64) == Shape(
        vocab=1000, width=256, layers=6, heads=4, kv_heads=2, head_width=64, hidden=768, context=64
    )
    mixture = shape_of(PretrainConfig(shape=TINY | {"experts": {"count": 4, "active": 2, "hidden": 8}}), 100, 16)
    assert (mixture.width, mixture.experts) == (32, Experts(4, 2, 8))
    gpt2 = shape_of(PretrainConfig(shape={"family": "gpt2"}), 100, 16)
    assert (gpt2.family, gpt2.qk_norm, gpt2.kv_heads) == ("gpt2", False, 4)
