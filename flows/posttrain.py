"""The posttrain flow: from a base model and conversations to a model that chats, or to a student of a teacher."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field, model_validator
from rich.markup import escape

from flows.identity import Dataset, Given
from flows.notify import on_end
from flows.pretrain import given_folder
from flows.run import Mechanics, Parameters, Run, open_run
from flows.stored import stored
from models.formats.configuration import shape_of
from models.unusable import Unusable
from stages.compute import Compute
from stages.posttraining.distill import DISTILL, DistillConfig
from stages.posttraining.files import is_readable
from stages.posttraining.import_conversations import IMPORT_CONVERSATIONS, ImportConversationsConfig
from stages.posttraining.layout import LAYOUT, LayoutConfig
from stages.posttraining.render import RENDER, RenderConfig
from stages.posttraining.sft import SFT, SftConfig
from stages.stage import Input
from storage.problem import Problem
from storage.store import Store

LONGEST = 1024
"""Tokens of a row where nobody says, however long the model's context is."""


class TuningSettings(Parameters):
    """From conversations to a model that chats: the settings of every step."""

    row_length: int = Field(default=0, ge=0, le=1 << 20)
    """Tokens of a row, in `render` and `layout` alike; 0: the model's context, 1,024 at most."""
    render: RenderConfig = RenderConfig()
    layout: LayoutConfig = LayoutConfig()
    sft: SftConfig = SftConfig()
    distill: DistillConfig = DistillConfig()
    compute: Compute = Compute()

    @model_validator(mode="after")
    def _one_length(self) -> "TuningSettings":
        for name, config in (("render", self.render), ("layout", self.layout)):
            if config.row_length not in (type(config).model_fields["row_length"].default, self.row_length):
                raise ValueError(
                    f"{name}.row_length is {config.row_length}; rows have one length in all steps: give row_length instead"
                )
        return self


class PosttrainSettings(TuningSettings):
    """Which model to train on which conversations."""

    model: str = "pretrain@latest"
    """Artifact or Hugging Face folder of the model, with its tokenizer."""
    conversations: dict[str, str] = Field(default={"conversations": "import_conversations@latest"}, min_length=1)
    """Name -> conversations: a file or folder (.json, .jsonl, .parquet), or an artifact. `sft.mixture` weighs them by these names."""
    import_conversations: ImportConversationsConfig = ImportConversationsConfig()
    replay: str = ""
    """Artifact of packed pretraining rows that are read beside, so that the model keeps what it knows, such as pack@latest; empty: none."""
    teacher: str = ""
    """Artifact or folder of a model with the same tokenizer from whose expectations the model learns (`distill`); empty: from the
    conversations alone (`sft`)."""


class PosttrainParameters(Mechanics, PosttrainSettings):
    """Which model to train on which conversations, the settings of every step, and where it runs."""


def run_name() -> str:
    """What the run does, for lists of runs."""
    p: PosttrainParameters = flow_run.parameters["parameters"]
    return f"posttrain {p.model} on {' and '.join(p.conversations)}"


@flow(name="posttrain", flow_run_name=run_name, persist_result=False, on_failure=[on_end], on_crashed=[on_end])
def posttrain(parameters: PosttrainParameters) -> dict[str, Any]:
    """A base model and conversations to a model that chats, with its curve and its answers to fixed questions."""
    p = parameters
    with open_run("posttrain", p.model_dump(mode="json"), p) as run:
        model = given_folder(run.store, p.model)
        teacher = given_folder(run.store, p.teacher) if p.teacher else None
        replay = stored(run.store, p.replay) if p.replay else None
        conversations = {name: imported(run, p, name, text) for name, text in p.conversations.items()}
        made = make_chat(run, p, model, conversations, replay, teacher)
        run.bar.console.print(
            f"The model, as Hugging Face's transformers reads it: {escape(run.store.full(made.snapshot.folder))}\n"
            f"Talk to it: winnow chat {made.snapshot.reference}"
            + ("" if p.store == Mechanics().store else f" --store {escape(p.store)}"),
            soft_wrap=True,
            highlight=False,
        )
        return run.summary()


def imported(run: Run, p: PosttrainSettings, name: str, text: str) -> Dataset:
    """Conversations that a person calls `text`, as rows of the one schema."""
    path = Path(text)
    if (path.is_file() or path.is_dir()) and not (path / "recipe.json").is_file():
        files: Given = Input(path.parent, (path.name,)) if path.is_file() else path  # the name is part of what comes out
        label = IMPORT_CONVERSATIONS.name if len(p.conversations) == 1 else f"{IMPORT_CONVERSATIONS.name}_{name}"
        return run.stage(IMPORT_CONVERSATIONS, p.import_conversations, label=label, files=files)
    if is_readable(text):
        raise Problem(f"conversations.{name}: there is no file {text}; expected conversations in it, or the name of an artifact")
    return stored(run.store, text)


def make_chat(
    run: Run,
    p: TuningSettings,
    model: Given,
    conversations: Mapping[str, Dataset],
    replay: Dataset | None = None,
    teacher: Given | None = None,
    label: str = "",
) -> Dataset:
    """The steps from conversations on. `label`: what is put behind the names of the steps, where a flow has them more than once."""
    after = f"_{label}" if label else ""
    context = context_of(run.store, model)
    if p.row_length > context:
        raise Problem(
            f"row_length is {p.row_length}, the model's context is {context}; expected rows that it can read: 0 takes the context"
        )
    length = {"row_length": p.row_length or min(context, LONGEST)}
    rendered: dict[str, Given] = {}
    for name, chats in conversations.items():
        called = RENDER.name if len(conversations) == 1 else f"{RENDER.name}_{name}"
        rendered[name] = run.stage(RENDER, p.render.model_copy(update=length), chats, label=called + after, tokenizer=model)
    rows = run.stage(LAYOUT, p.layout.model_copy(update=length), None, rendered, label=LAYOUT.name + after, tokenizer=model)
    beside: dict[str, Given] = {"replay": replay} if replay else {}
    compute = p.compute.given()
    if teacher is not None:
        return run.stage(
            DISTILL, p.distill, None, beside, label=DISTILL.name + after, rows=rows, model=model, teacher=teacher, compute=compute
        )
    return run.stage(SFT, p.sft, None, beside, label=SFT.name + after, rows=rows, model=model, compute=compute)


def context_of(store: Store, model: Given) -> int:
    """The longest row that a model can read. Raises Problem where there is no model."""
    if isinstance(model, Dataset):
        where = store.full(model.snapshot.folder)
        there = any(file.name == "config.json" for file in model.snapshot.files)
        text = store.read(f"{model.snapshot.folder}/config.json") if there else None
    else:
        assert isinstance(model, Path)
        where = str(model)
        text = (model / "config.json").read_bytes() if (model / "config.json").is_file() else None
    if text is None:
        raise Problem(f"{where} holds no config.json; expected a model: pretrain one, or give a Hugging Face folder")
    try:
        return shape_of(json.loads(text))[0].context
    except (Unusable, ValueError) as error:
        raise Problem(f"{where}/config.json: {error}") from None
