"""A folder for a model hub and for Ollama."""

import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from models.chat.conversation import SYSTEM, USER, Message
from models.chat.renderer import prompt
from models.tokenizer.load import load
from stages.release import gate, integers, package, quantize
from stages.release.card import EXAMPLE, Card
from stages.release.gate import GateConfig
from stages.release.integers import IntegersConfig
from stages.release.package import PackageConfig
from stages.release.quantize import QuantizeConfig
from storage.problem import Problem
from tests.stages.release.released import written_model, written_text

CARD = Card(description="It knows a river.", license="apache-2.0", languages=("en", "de"), datasets=("someone/crawl",))
CONFIG = PackageConfig(name="river", default="Q8_0", system='Be "brief".', card=CARD, lineage=("crawl/1@2", "pretrain/3@4"))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("release")
    given: dict[str, Any] = {
        "model": written_model(folder / "model"),
        "held_out": written_text(folder / "held_out.parquet"),
        "compute": {"threads": "1"},
    }
    for name in ("quantized", "quantized_int8", "gate", "evaluation"):
        (folder / name).mkdir()
    quantize.run(given, folder / "quantized", QuantizeConfig(types=("F16", "Q8_0"), name="river"))
    integers.run(given, folder / "quantized_int8", IntegersConfig(method="rtn", bits=8, group_size=0))
    given |= {name: folder / name for name in ("quantized", "quantized_int8")}
    gate.run(given, folder / "gate", GateConfig(tokens=200, factor=1e6))
    (folder / "evaluation/report.md").write_text("# What it can do\n\n## Rivers\n\nAll of them.\n")
    return given | {name: folder / name for name in ("gate", "evaluation")}


@pytest.fixture(scope="module")
def made(inputs: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("package")
    figures = package.run(inputs, out, CONFIG)
    assert figures["files"] == len([path for path in out.rglob("*") if path.is_file() and not path.name.startswith(".")])
    return out


def test_every_file_is_there_and_its_sum_is_right(made: Path, inputs: dict[str, Any]) -> None:
    names = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    assert {
        "river-F16.gguf", "river-Q8_0.gguf", "model.safetensors", "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
        "chat_template.jinja", "Modelfile", "README.md", "SHA256SUMS", "rtn-int8/model.safetensors", "rtn-int8/config.json", "rtn-int8/tokenizer.json",
    } <= names  # fmt: skip
    assert (made / "model.safetensors").read_bytes() == (inputs["model"] / "model.safetensors").read_bytes()
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=made, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    sums = dict(reversed(line.split("  ")) for line in (made / "SHA256SUMS").read_text().splitlines())  # type: ignore[misc]
    assert sums["README.md"] == hashlib.sha256((made / "README.md").read_bytes()).hexdigest()
    assert sums.keys() == {name for name in names if not name.startswith(".") and name != "SHA256SUMS"}


def test_the_modelfile_lays_chats_out_as_the_renderer_does(made: Path, inputs: dict[str, Any]) -> None:
    said = (made / "Modelfile").read_text()
    assert said.startswith("FROM ./river-Q8_0.gguf\n")
    assert 'SYSTEM """Be "brief"."""' in said
    assert re.findall(r'PARAMETER stop "(.*)"', said) == ["<|document_end|>", "<|im_end|>"]
    assert "PARAMETER num_ctx 64\n" in said
    assert 'LICENSE """apache-2.0"""' in said
    layout = re.search(r'TEMPLATE """(.*?)"""', said, re.DOTALL)
    assert layout is not None
    each, _, end = layout[1].removeprefix("{{- range .Messages }}").partition("{{ end }}")
    text = "".join(each.replace("{{ .Role }}", role).replace("{{ .Content }}", content) for role, content in EXAMPLE) + end
    tokenizer = load(inputs["model"])
    tokens = prompt([Message(SYSTEM, EXAMPLE[0][1]), Message(USER, EXAMPLE[1][1])], tokenizer)
    spelled = "".join(piece.decode() for piece, _ in (tokenizer.pieces()[token] for token in tokens[1:]))
    assert text == spelled


def test_the_card_says_what_hubs_and_people_ask(made: Path) -> None:
    text = (made / "README.md").read_text()
    front = text.split("---\n")[1]
    fields = {name: json.loads(value) for name, value in (line.split(": ", 1) for line in front.splitlines())}
    assert fields["license"] == "apache-2.0"
    assert fields["language"] == ["en", "de"]
    assert fields["pipeline_tag"] == "text-generation"
    assert "conversational" in fields["tags"]
    assert "base_model" not in fields
    assert "| river-Q8_0.gguf |" in text
    assert "<|document_start|><|im_start|>system<|im_sep|>You are a helpful assistant.<|im_end|><|im_start|>user" in text
    assert "1. `crawl/1@2`\n2. `pretrain/3@4`" in text
    assert "### What it can do" in text
    assert "It knows a river." in text


def test_the_same_inputs_give_the_same_package(made: Path, inputs: dict[str, Any], tmp_path: Path) -> None:
    package.run(inputs, tmp_path, CONFIG)
    assert (tmp_path / "SHA256SUMS").read_bytes() == (made / "SHA256SUMS").read_bytes()


def test_what_the_gate_has_not_seen_is_not_packed(inputs: dict[str, Any], tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "river-Q8_0.gguf").write_bytes((inputs["quantized"] / "river-Q8_0.gguf").read_bytes() + b"\0")
    with pytest.raises(Problem, match="is not what `gate` compared"):
        package.run({**inputs, "quantized": other}, tmp_path, CONFIG)


def test_without_a_default_it_is_the_first_file_and_one_that_is_not_there_is_refused(
    inputs: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "first").mkdir()
    package.run(inputs, tmp_path / "first", PackageConfig(name="river"))
    assert (tmp_path / "first" / "Modelfile").read_text().startswith("FROM ./river-F16.gguf")
    with pytest.raises(Problem, match=r"default is Q4_K_M, and there is river-F16.gguf, river-Q8_0.gguf"):
        package.run(inputs, tmp_path, PackageConfig(name="river", default="Q4_K_M"))
    with pytest.raises(Problem, match="no way to say"):
        package.run(inputs, tmp_path, PackageConfig(name="river", default="Q8_0", system='"""'))
