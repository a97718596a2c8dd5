"""Fine-tuning on conversations: what is learnt, what comes out, what is refused, and that a killed job ends as one that was not."""

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from pydantic import ValidationError

from models.chat.renderer import render
from models.chat.template import template
from models.formats.peft import load_adapter
from models.formats.pretrained import load_model
from models.tokenizer.load import load
from models.transformer.lora import merge
from models.transformer.loss import IGNORED, token_losses
from stages.posttraining.sft import SFT, SftConfig
from stages.posttraining.sft_training import given_model, opened
from stages.stage import Input
from stages.tokens.vocabulary import vocabulary
from storage.problem import Problem
from tests.stages.killed import kill_behind, outputs
from tests.stages.posttraining import sft_worlds
from tests.stages.posttraining.conftest import talk

SETTINGS: dict[str, Any] = {
    "steps": 24, "rows": 4, "matrix_rate": 0.01, "rate": 5e-3, "embedding_rate": 5e-3, "validation_every": 12, "samples_every": 12,
    "prompts": ("How much is 4 + 0?",), "sample_tokens": 12, "dtype": "fp32",
}  # fmt: skip


@dataclass(frozen=True)
class World:
    vocabulary: Input
    model: Input
    rows: Input
    texts: Input


@pytest.fixture(scope="module")
def world(vocabulary_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("sft")
    vocabulary = sft_worlds.listed(vocabulary_folder)
    return World(
        vocabulary,
        sft_worlds.model(folder / "model", vocabulary),
        sft_worlds.chats(folder / "chats", vocabulary),
        sft_worlds.texts(folder / "texts", vocabulary),
    )


def sft(
    world: World, out: Path, inputs: dict[str, Any] | None = None, compute: dict[str, str] | None = None, **settings: Any
) -> dict[str, Any]:
    out.mkdir(exist_ok=True, parents=True)
    given = {"rows": world.rows, "model": world.model} | (inputs or {})
    told = {"threads": "1", "checkpoint_seconds": "0"} | (compute or {})
    found: dict[str, Any] = SFT.run({**given, "compute": told}, out, SftConfig(**(SETTINGS | settings)))
    return found


def test_a_model_learns_to_answer_and_takes_all_along_that_a_chat_needs(world: World, tmp_path: Path) -> None:
    out = tmp_path / "out"
    figures = sft(world, out)
    metrics = pl.read_parquet(out / "metrics.parquet")
    held_out = metrics["validation_loss"].drop_nulls().to_list()
    assert len(held_out) == 3
    assert held_out[2] < held_out[1] < held_out[0]
    assert figures["validation_loss"] == held_out[2] < 3.0
    tokenizer = load(out)
    assert json.loads((out / "generation_config.json").read_text())["eos_token_id"] == list(tokenizer.stops)
    assert (out / "chat_template.jinja").read_text() == template()
    samples = pl.read_parquet(out / "samples.parquet")
    assert samples["step"].to_list() == [0, 12, 24]
    assert samples["completion"][2].startswith("It is")
    assert load_model(out).shape == load_model(world.model.folder).shape


def test_the_loss_is_that_of_what_the_assistant_says_each_conversation_by_itself(world: World, tmp_path: Path) -> None:
    """One step over all rows, before any weight has moved."""
    rows = pl.concat([pl.read_parquet(path) for path in world.rows.shards if path.name.startswith("train-")])
    sft(world, tmp_path / "out", steps=1, rows=len(rows), prompts=(), validation_rows=0)
    reported = pl.read_parquet(tmp_path / "out" / "metrics.parquet")["loss"][1]
    model, tokenizer = load_model(world.model.folder), load(world.model.folder)
    total, count = 0.0, 0
    for number in range(48):
        made = render(talk(number), tokenizer)
        targets = torch.tensor(
            [[token if learnt else IGNORED for token, learnt in zip(made.tokens[1:], made.mask[1:], strict=True)]]
        )
        with torch.no_grad():
            losses = token_losses(model.hidden(torch.tensor([made.tokens[:-1]])), model.output_weight, targets)
        total += float(losses.double().sum())
        count += int((targets != IGNORED).sum())
    assert reported == pytest.approx(total / count, rel=1e-6)


@pytest.mark.slow
def test_adapters_alone_learn_and_are_merged_and_kept_in_the_format_of_peft(world: World, tmp_path: Path) -> None:
    out = tmp_path / "out"
    figures = sft(world, out, lora={"rank": 4, "alpha": 8, "targets": ["q", "v", "up"]}, rate=0.02, prompts=())
    assert figures["validation_loss"] < pl.read_parquet(out / "metrics.parquet")["validation_loss"][0]
    assert json.loads((out / "adapter" / "adapter_config.json").read_text())["target_modules"] == ["q_proj", "v_proj", "up_proj"]
    base = load_model(world.model.folder)
    before = {name: weight.clone() for name, weight in base.state_dict().items()}
    load_adapter(base, out / "adapter")
    merge(base)
    learnt = load_model(out).state_dict()
    for name, weight in base.state_dict().items():
        torch.testing.assert_close(learnt[name], weight, atol=0, rtol=0)
        assert torch.equal(weight, before[name]) == (name.split(".")[-2] not in ("q", "v", "up"))


@pytest.mark.slow
def test_replayed_text_is_learnt_beside_and_a_step_is_the_same_however_it_is_cut(world: World, tmp_path: Path) -> None:
    replay = {"replay": world.texts}
    whole = sft(world, tmp_path / "whole", replay, prompts=(), replay_rows=3, replay_weight=0.5)
    metrics = pl.read_parquet(tmp_path / "whole" / "metrics.parquet")
    assert metrics["replay_loss"][24] < 0.8 * metrics["replay_loss"][1]
    sft(world, tmp_path / "cut", replay, {"micro_rows": "1"}, steps=2, prompts=(), replay_rows=3, replay_weight=0.5)
    sft(world, tmp_path / "uncut", replay, {"micro_rows": "8"}, steps=2, prompts=(), replay_rows=3, replay_weight=0.5)
    cut, uncut = (pl.read_parquet(tmp_path / name / "metrics.parquet") for name in ("cut", "uncut"))
    for name in ("loss", "grad_norm", "replay_loss", "tokens"):
        assert cut[name][1] == pytest.approx(uncut[name][1], rel=1e-5)
    assert whole["replay_loss"] == metrics["replay_loss"][24]


@pytest.mark.slow
def test_two_processes_learn_what_one_does_of_adapters_and_replayed_text(world: World, tmp_path: Path) -> None:
    """With one row to replay, of which one of the two processes has none."""
    settings: dict[str, Any] = {"steps": 3, "prompts": (), "lora": {"rank": 4}, "replay_rows": 1}
    for count in ("1", "2"):
        sft(world, tmp_path / count, {"replay": world.texts}, {"processes": count}, **settings)
    one, two = (pl.read_parquet(tmp_path / count / "metrics.parquet") for count in ("1", "2"))
    for name in ("loss", "grad_norm", "replay_loss", "validation_loss"):
        assert one[name].drop_nulls().to_list() == pytest.approx(two[name].drop_nulls().to_list(), rel=1e-5)


@pytest.mark.slow
def test_a_mixture_of_experts_is_tuned_with_its_balance(world: World, tmp_path: Path) -> None:
    from models.transformer.shape import Experts

    model = sft_worlds.model(tmp_path / "model", world.vocabulary, experts=Experts(count=4, active=2, hidden=32, balance=0.01))
    sft(world, tmp_path / "out", {"model": model, "replay": world.texts}, dtype="bf16")
    metrics = pl.read_parquet(tmp_path / "out" / "metrics.parquet")
    assert metrics["validation_loss"][24] < metrics["validation_loss"][0]
    assert metrics["balance"][24] > 0
    assert pl.read_parquet(tmp_path / "out" / "experts.parquet")["expert"].n_unique() == 4


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["full", "lora"])
def test_a_job_that_is_killed_at_any_moment_ends_with_the_same_weights(world: World, tmp_path: Path, kind: str) -> None:
    settings: dict[str, Any] = {"steps": 60} | ({} if kind == "full" else {"lora": {"rank": 4}})
    replay = {"replay": world.texts}
    sft(world, tmp_path / "whole", replay, **settings)
    out = tmp_path / "killed"
    for at in (3, 22, 40):
        killer = threading.Thread(target=kill_behind, args=(out, at))
        killer.start()
        with pytest.raises(Problem, match="SIGKILL"):
            sft(world, out, replay, {"checkpoint_steps": "2"}, **settings)
        killer.join()
    sft(world, out, replay, {"checkpoint_steps": "2"}, **settings)
    assert outputs(out) == outputs(tmp_path / "whole")


def test_rows_that_the_model_cannot_read_and_none_at_all_are_refused(world: World, tmp_path: Path) -> None:
    known, config = vocabulary(world.model), SftConfig()
    short = sft_worlds.model(tmp_path / "short", world.vocabulary, context=48)
    with pytest.raises(Problem, match="the rows are 96 tokens long, the model's context is 48"):
        given_model(short.folder, config, known, opened(world.rows, tmp_path / ".rows", config, known).rows.row_length)
    kept = tuple(name for name in world.rows.names if not name.startswith("train-"))
    with pytest.raises(Problem, match="found no row to train on"):
        opened(Input(world.rows.folder, kept), tmp_path / ".none", config, known)
    with pytest.raises(Problem, match="expected rows of conversations"):
        opened(world.model, tmp_path / ".model", config, known)


@pytest.mark.slow
def test_a_model_that_knows_no_chats_and_rows_of_text_are_refused(world: World, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="holds rows of text, expected conversations"):
        sft(world, tmp_path / "texts", {"rows": world.texts})
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    for name in world.model.names:
        text = (world.model.folder / name).read_bytes()
        (foreign / name).write_bytes(text.replace(b"<|im_sep|>", b"<|other|>") if name.endswith(".json") else text)
    with pytest.raises(Problem, match=r"tokenizer has no <\|im_sep\|>, which chats are laid out with"):
        sft(world, tmp_path / "out", {"model": sft_worlds.listed(foreign)})


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"lora": {"rank": 4}, "optimizer": "muon"}, "adapters are trained with adamw"),
        ({"lora": {"targets": []}}, "at least 1 item"),
        ({"mixture": {"chats": 0}}, "expected positive numbers"),
        ({"epochs": 0}, "greater than 0"),
    ],
)
def test_settings_that_contradict_are_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        SftConfig(**settings)


def test_epochs_are_rounded_up_to_whole_steps() -> None:
    assert SftConfig(epochs=2, rows=16).plan(100).steps == 13
    assert SftConfig(epochs=0.01, rows=16).plan(100).steps == 1
    assert SftConfig(steps=7, epochs=2).plan(100).steps == 7
