"""The model card: README.md with the front matter that model hubs read.

In: what a release holds (`Release`) and what its maker says of it (`Card`). Out: Markdown: front matter (licence, languages,
library, pipeline, base model, data sets, tags), what the model is, how to run it, the table of quantized files, how a prompt is
laid out, what it was made of, how it was evaluated. Source: Hugging Face's documentation of model cards, "Model card metadata".
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import Field

from models.formats.pretrained import read_shape
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.counting import parameters
from stages.stage import Config
from storage.problem import Problem

EXAMPLE = (("system", "You are a helpful assistant."), ("user", "Where does the river end?"))


class Card(Config):
    """What the maker of a model says of it."""

    description: str = ""
    """What the model is for, and what not; Markdown."""
    license: str = "other"
    """SPDX name in lower case, such as apache-2.0, or other."""
    license_name: str = ""
    """Of a licence that is `other`."""
    license_link: str = ""
    """Where a licence that is `other` can be read."""
    languages: tuple[str, ...] = ("en",)
    """ISO 639 codes."""
    base_model: str = ""
    """Hub name of the model that this one was made of; empty: none."""
    datasets: tuple[str, ...] = ()
    """Hub names of the data that it was trained on."""
    tags: tuple[str, ...] = Field(("winnow", "gguf"))
    """By which the hub finds it."""


@dataclass(frozen=True)
class Release:
    name: str
    files: Sequence[str]
    """GGUF files."""
    chosen: str
    """Which of them Ollama is given."""
    table: str
    """Of the gate, Markdown."""
    template: str
    """Of chats, Jinja; empty: none."""
    tokenizer: Tokenizer
    evaluation: str
    """A report, Markdown; empty: none."""
    lineage: Sequence[str]
    folder: Path
    """The model's."""


def card(release: Release, said: Card) -> str:
    """The text of README.md."""
    shape = read_shape(release.folder)
    count = parameters(shape)
    active = "" if count.active == count.total else f", of which a token meets {count.active:,}"
    sections = [
        _front(said, bool(release.template)),
        f"# {release.name}",
        said.description.strip(),
        f"{count.total:,} parameters{active}, {shape.layers} layers, a vocabulary of {shape.vocab:,} ({release.tokenizer.kind}), "
        f"a context of {shape.context:,} tokens.",
        _running(release),
        "## Quantized files\n\n" + release.table.strip(),
        _prompt(release),
        _lineage(release),
        _evaluation(release),
    ]  # fmt: skip
    return "\n\n".join(section for section in sections if section) + "\n"


def _front(said: Card, chats: bool) -> str:
    """YAML, of which JSON's strings and lists are part."""
    fields: list[tuple[str, object]] = [
        ("license", said.license), ("license_name", said.license_name), ("license_link", said.license_link), ("language", list(said.languages)),
        ("library_name", "transformers"), ("pipeline_tag", "text-generation"), ("base_model", said.base_model), ("datasets", list(said.datasets)),
        ("tags", [*said.tags, *(["conversational"] if chats else [])]),
    ]  # fmt: skip
    return "---\n" + "".join(f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in fields if value) + "---"


def _running(release: Release) -> str:
    chat = "chat " if release.template else ""
    return f"""## How to run it

With llama.cpp: `llama-cli -m {release.chosen}{" --jinja" if release.template else " -no-cnv -p 'Once'"}`

With Ollama: `ollama create {release.name.lower()} -f Modelfile`, then `ollama run {release.name.lower()}`

With transformers: `pipeline("text-generation", "this folder")`; with vLLM: `vllm serve this-folder`

With Winnow: `winnow {chat or "serve "}this-folder`. `sha256sum -c SHA256SUMS` checks that every file is whole."""


def _prompt(release: Release) -> str:
    if not release.template:
        return "## Prompts\n\nThe model goes on with a text; it knows no turns."
    names = {number: name for name, number in release.tokenizer.special.items()}
    start = names.get(release.tokenizer.start, "") if release.tokenizer.start is not None else ""
    stops = " or ".join(f"`{names[stop]}`" for stop in release.tokenizer.stops if stop in names)
    messages = [{"role": role, "content": content} for role, content in EXAMPLE]
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    try:
        shown = environment.from_string(release.template).render(
            messages=messages, add_generation_prompt=True, bos_token=start, eos_token=""
        )
    except Exception as error:  # a foreign template may raise whatever it likes
        raise Problem(f"the chat template cannot lay out a system and a user message: {error}; expected one that can") from error
    begun = "The template is in `chat_template.jinja` and in every GGUF file. A chat begins so:"
    return f"## Prompts\n\n{begun}\n\n```\n{shown}\n```\n\nThe answer ends with {stops}."


def _lineage(release: Release) -> str:
    if not release.lineage:
        return ""
    return "## What it was made of\n\n" + "\n".join(
        f"{place}. `{reference}`" for place, reference in enumerate(release.lineage, 1)
    )


def _evaluation(release: Release) -> str:
    if not release.evaluation:
        return ""
    return "## Evaluation\n\n" + re.sub(r"^#", "###", release.evaluation.strip(), flags=re.MULTILINE)
