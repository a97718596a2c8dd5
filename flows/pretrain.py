"""The pretrain flow: from corpora to a base model: tokenizer, tokens, packed rows, training, evaluation."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run
from pydantic import Field, field_validator
from rich.markup import escape

from flows.identity import Dataset, Given
from flows.notify import on_end
from flows.run import Mechanics, Parameters, Run, open_run
from flows.stored import stored
from stages.compute import Compute
from stages.evaluation.evaluate import EVALUATE_BASE, EvaluateBaseConfig
from stages.pretraining.pretrain import PRETRAIN, PretrainConfig
from stages.stage import Input
from stages.tokens.pack import PACK, PackConfig
from stages.tokens.tokenize import TOKENIZE, TokenizeConfig
from stages.tokens.tokenizer import TOKENIZER, TokenizerConfig
from storage.problem import Problem
from storage.store import Store


class BaseSettings(Parameters):
    """From text to a base model: the settings of every step."""

    tokenizer: TokenizerConfig = TokenizerConfig()
    tokenize: TokenizeConfig = TokenizeConfig()
    pack: PackConfig = PackConfig()
    pretrain: PretrainConfig = PretrainConfig()
    evaluate_base: EvaluateBaseConfig = EvaluateBaseConfig()
    evaluations: str = ""
    """File or folder (.parquet, .jsonl) of evaluation sets: training text that shares n-grams with them is dropped, and counted."""
    compute: Compute = Compute()


class PretrainSettings(BaseSettings):
    """Which corpora to train on, and what to start from."""

    corpora: dict[str, str] = Field(default={"corpus": "corpus@latest"}, min_length=1)
    """Name -> artifact of text. `pretrain.mixture` weighs them by these names."""
    tokenizer_from: str = ""
    """Artifact or folder of a tokenizer that is there already; empty: one is trained on the corpora."""
    model: str = ""
    """Artifact or Hugging Face folder of a model to go on from, with its tokenizer; empty: a new model."""

    @field_validator("corpora")
    @classmethod
    def _names(cls, corpora: dict[str, str]) -> dict[str, str]:
        for name in corpora:
            if name == "tokenizer" or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
                raise ValueError(
                    f"a corpus is called {name!r}; expected letters, digits, dots, dashes, and not the name `tokenizer`"
                )
        return corpora


class PretrainParameters(Mechanics, PretrainSettings):
    """Which corpora to train on, the settings of every step, and where it runs."""


def run_name() -> str:
    """What the run does, for lists of runs."""
    p: PretrainParameters = flow_run.parameters["parameters"]
    return f"pretrain {p.pretrain.preset} on {' and '.join(p.corpora)}"


@flow(name="pretrain", flow_run_name=run_name, persist_result=False, on_failure=[on_end], on_crashed=[on_end])
def pretrain(parameters: PretrainParameters) -> dict[str, Any]:
    """Corpora to a base model that transformers and llama.cpp's converter read, with its curve, its samples and its scores."""
    p = parameters
    with open_run("pretrain", p.model_dump(mode="json"), p) as run:
        corpora = {name: stored(run.store, text) for name, text in p.corpora.items()}
        start = given_folder(run.store, p.model) if p.model else None
        tokenizer = given_folder(run.store, p.tokenizer_from) if p.tokenizer_from else start
        score_base(run, p, make_base(run, p, corpora, tokenizer, start))
        return run.summary()


@dataclass(frozen=True)
class Base:
    """A base model, and what it learnt from."""

    model: Dataset
    text: Dataset
    """The first corpus."""
    tokens: Dataset
    """Its tokens."""
    packed: Dataset
    """The rows of all corpora."""


def make_base(
    run: Run, p: BaseSettings, corpora: Mapping[str, Dataset], tokenizer: Given | None = None, model: Given | None = None
) -> Base:
    """The steps from corpora to a model. `tokenizer`, `model`: to begin from; none: made anew."""
    first = next(iter(corpora.values()))
    pieces = tokenizer or run.stage(TOKENIZER, p.tokenizer, docs=first)
    exams = Path(p.evaluations)  # a lone file with its name, which whoever asks why a text was dropped is told
    named: Given = Input(exams.parent, (exams.name,)) if exams.is_file() else exams
    evaluations: dict[str, Given] = {"evaluations": named} if p.evaluations else {}
    tokens: dict[str, Dataset] = {}
    for name, docs in corpora.items():
        label = TOKENIZE.name if len(corpora) == 1 else f"{TOKENIZE.name}_{name}"
        tokens[name] = run.stage(TOKENIZE, p.tokenize, docs, evaluations, label=label, tokenizer=pieces)
    packed = run.stage(PACK, p.pack, None, tokens, tokenizer=pieces)
    begin: dict[str, Given] = {"model": model} if model else {}
    made = run.stage(PRETRAIN, p.pretrain, None, begin, tokens=packed, tokenizer=pieces, compute=p.compute.given())
    return Base(made, first, next(iter(tokens.values())), packed)


def score_base(run: Run, p: BaseSettings, base: Base, crawl: Dataset | None = None) -> Dataset:
    """What the model knows and can do, told. `crawl`: the simulated one, whose facts it is asked about."""
    told: dict[str, Given] = {"text": base.text, "tokens": base.tokens, **({"crawl": crawl} if crawl else {})}
    scored = run.stage(EVALUATE_BASE, p.evaluate_base, None, told, model=base.model, compute=p.compute.given())
    report = run.store.read(f"{scored.snapshot.folder}/report.md").decode("utf-8")
    create_markdown_artifact(markdown=report, key="base-model", description="What the base model knows and can do")
    run.bar.console.print(report, markup=False)
    run.bar.console.print(
        f"The model, as Hugging Face's transformers reads it: {escape(run.store.full(base.model.snapshot.folder))}\n"
        f'Let it write: winnow sample {base.model.snapshot.reference} "Once upon a time"',
        soft_wrap=True,
        highlight=False,
    )
    return scored


def given_folder(store: Store, text: str) -> Given:
    """A model or tokenizer: a folder on this machine, or an artifact."""
    if Path(text).is_dir():
        return Path(text)
    made = stored(store, text)
    if not any(file.name.startswith("tokenizer") for file in made.snapshot.files):
        raise Problem(f"{made.snapshot.reference} holds no tokenizer; expected a model, a tokenizer, or a Hugging Face folder")
    return made
