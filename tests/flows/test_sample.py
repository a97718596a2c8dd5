"""`winnow sample`: a model by whatever name, text as it comes, the same seed the same text."""

import itertools
import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from flows.__main__ import app
from flows.commands.sample import Sample, Writer
from flows.models import model_folder
from flows.present import begin
from models.formats.pretrained import save_model
from models.tokenizer import bytelevel
from models.tokenizer.load import made
from models.transformer.sampling import GREEDY
from models.transformer.shape import Shape
from models.transformer.transformer import Transformer
from models.unusable import Unusable
from storage.problem import Problem
from storage.recipe import Recipe
from storage.shards import File, sha256
from storage.snapshot import Snapshot
from storage.store import Store
from tests.models.chat.tools.walking import walking

TEXTS = ["The river runs to the sea, and the sea takes it in. ", "Où? À Montréal, 漢字 🚀.\n"] * 40
TOKENIZER = bytelevel.train(TEXTS, 300)


def written(folder: Path, network: Transformer) -> Path:
    tokenizer = made(TOKENIZER)
    tokenizer.save(folder)
    save_model(network, folder, start=tokenizer.start, stops=tokenizer.stops, pad=tokenizer.pad)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of random weights."""
    draw = torch.Generator().manual_seed(0)
    network = Transformer(Shape(vocab=300, width=32, layers=2, heads=2, kv_heads=1, head_width=16, hidden=64, context=80))
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.3, generator=draw)
    return written(tmp_path_factory.mktemp("model"), network)


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A model that goes on from `so` in known words, most of whose characters are several tokens."""
    tokenizer, text = made(TOKENIZER), "ßΩж漢"
    walk = [*tokenizer.encode("so"), *tokenizer.encode(text), tokenizer.stops[0]]
    assert len(set(walk)) == len(walk) > 9
    return written(tmp_path_factory.mktemp("speaker"), walking(300, dict(itertools.pairwise(walk)))), text


def called(*arguments: str, given: bytes = b"") -> Result:
    done = CliRunner().invoke(app, ["sample", *arguments], input=given)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


def completions(*arguments: str) -> list[dict]:
    found: list[dict] = json.loads(called(*arguments, "--json").stdout)["completions"]
    return found


def artifact(store: Store, folder: Path, stage: str = "pretrain") -> Snapshot:
    """The files of `folder` as an artifact."""
    recipe = Recipe(stage, 1, {}, {})
    begin(store, f"{stage}/{recipe.key}", recipe)
    files = []
    for path in sorted(folder.iterdir()):
        store.write(f"{stage}/{recipe.key}/{path.name}", path.read_bytes())
        files.append(File(path.name, path.stat().st_size, sha256(path.read_bytes())))
    snapshot = Snapshot.of(stage, recipe.key, files)
    snapshot.seal(store)
    return snapshot


def test_prompt_and_completion_stand_apart_and_the_speed_is_said_elsewhere(speaker: tuple[Path, str]) -> None:
    folder, text = speaker
    done = called(str(folder), "so", "--temperature", "0")
    assert done.stdout == f"so\n\n{text}\n"
    assert "tokens/s" in done.stderr


def test_text_comes_in_whole_characters(speaker: tuple[Path, str]) -> None:
    folder, text = speaker
    writer = Writer(folder, "cpu", 1, "float32")
    *parts, (_, whole) = writer.written(writer.requests("so", 1, 50, GREEDY, (), 0))
    assert [part for _, part in parts] == list(text)
    assert isinstance(whole, Sample)
    assert (whole.text, whole.finish_reason) == (text, "stop")
    assert len(whole.tokens) > len(parts) + 1


def test_the_same_seed_gives_the_same_text_and_another_one_another(model: Path) -> None:
    first = completions(str(model), "The river", "--n", "3", "--seed", "5")
    assert [one["seed"] for one in first] == [5, 6, 7]
    assert len({one["text"] for one in first}) == 3
    assert first == completions(str(model), "The river", "--n", "3", "--seed", "5")
    assert first[1]["tokens"] == completions(str(model), "The river", "--seed", "6")[0]["tokens"]


def test_several_completions_are_shown_in_the_order_of_their_seeds(model: Path) -> None:
    found = completions(str(model), "The river", "--n", "3", "--max-tokens", "9")
    lines = called(str(model), "The river", "--n", "3", "--max-tokens", "9").stdout
    assert [line for line in lines.splitlines() if " of 3, seed " in line] == [f"{n + 1} of 3, seed {n}" for n in range(3)]
    assert all(len(one["tokens"]) == len(one["logprobs"]) == 9 or one["finish_reason"] == "stop" for one in found)


def test_settings_reach_the_model(model: Path) -> None:
    greedy = completions(str(model), "The", "--temperature", "0")[0]["tokens"]
    for option in (["--top-k", "1"], ["--top-p", "0.000001"], ["--min-p", "1"]):
        assert completions(str(model), "The", *option)[0]["tokens"] == greedy
    harsh = completions(str(model), "The", "--temperature", "0", "--repetition-penalty", "1000000")[0]["tokens"]
    assert len(set(harsh)) == len(harsh)
    assert len(completions(str(model), "The", "--max-tokens", "3")[0]["tokens"]) <= 3


def test_a_stop_text_ends_the_completion(speaker: tuple[Path, str]) -> None:
    folder, text = speaker
    [found] = completions(str(folder), "so", "--temperature", "0", "--stop", text[1])
    assert (found["text"], found["finish_reason"]) == (text[:2], "stop")


def test_the_prompt_may_come_from_standard_input(speaker: tuple[Path, str]) -> None:
    folder, text = speaker
    assert called(str(folder), "-", "--temperature", "0", given=b"so\n").stdout == f"so\n\n{text}\n"


def test_bf16_is_computed_where_it_is_asked_for(model: Path) -> None:
    exact = completions(str(model), "The river", "--temperature", "0", "--max-tokens", "1")
    rough = completions(str(model), "The river", "--temperature", "0", "--max-tokens", "1", "--dtype", "bfloat16")
    assert rough[0]["logprobs"] != exact[0]["logprobs"]
    assert rough[0]["logprobs"] == pytest.approx(exact[0]["logprobs"], abs=0.3)


def test_a_model_is_found_by_key_by_path_and_by_reference(model: Path, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    snapshot = artifact(store, model)
    home = tmp_path / "store" / "pretrain" / snapshot.key
    for text in (snapshot.key, snapshot.key[:6], snapshot.reference, f"pretrain/{snapshot.key}"):
        assert model_folder(store, text) == home
    elsewhere = Store(str(tmp_path / "another"))
    assert model_folder(elsewhere, str(home)) == home
    assert model_folder(elsewhere, str(model)) == model
    assert completions(snapshot.key, "The", "--store", store.url) == completions(str(model), "The")


def test_a_model_on_a_remote_store_is_fetched(model: Path) -> None:
    store = Store("memory://models")
    snapshot = artifact(store, model)
    folder = model_folder(store, snapshot.key)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in model.iterdir()
    }


def test_a_model_that_was_altered_is_refused(model: Path, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    snapshot = artifact(store, model)
    path = tmp_path / "store" / "pretrain" / snapshot.key / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    for text in (snapshot.key, str(path.parent)):
        with pytest.raises(Problem, match="has changed since it was written"):
            model_folder(store, text)


def test_what_holds_no_model_is_refused_with_what_it_holds(model: Path, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    empty = tmp_path / "notes"
    empty.mkdir()
    (empty / "config.json").write_text("{}")
    snapshot = artifact(store, empty, "notes")
    for text in (snapshot.key, str(empty)):
        with pytest.raises(Problem, match=r"holds no model: found config.json, expected config.json and model.safetensors"):
            model_folder(store, text)
    with pytest.raises(Problem, match="no artifact 'nowhere'"):
        model_folder(store, "nowhere")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dtype", "int8"], "--dtype int8: expected float32"),
        (["--device", "tpu"], "--device tpu: expected auto"),
        (["--top-p", "0"], "top_p is 0"),
        (["--stop", ""], "--stop is empty"),
    ],
)
def test_an_option_that_means_nothing_is_refused_by_name(model: Path, options: list[str], message: str) -> None:
    with pytest.raises((Problem, Unusable), match=message):
        called(str(model), "The", *options)


def test_a_prompt_longer_than_the_context_is_refused(model: Path) -> None:
    with pytest.raises(Unusable, match="the model's context 80: no room"):
        called(str(model), "漢" * 100)
