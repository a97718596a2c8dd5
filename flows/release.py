"""The release flow: a model to files that other tools run, compared with the model itself before anyone sees them."""

from typing import Any

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field, model_validator
from rich.markup import escape

from flows.align import show
from flows.identity import Dataset, Given
from flows.notify import on_end
from flows.pretrain import given_folder
from flows.run import Mechanics, Parameters, Run, open_run
from flows.stored import stored
from stages.compute import Compute
from stages.release.gate import GATE, GateConfig
from stages.release.importance import IMPORTANCE, ImportanceConfig
from stages.release.integers import INTEGERS, IntegersConfig
from stages.release.package import PACKAGE, PackageConfig
from stages.release.quantize import QUANTIZE, QuantizeConfig
from storage.lineage import ancestors


class ReleasingSettings(Parameters):
    """From a model to a package: the settings of every step."""

    name: str = Field(default="winnow", min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """The model's name: of its files, and on the hub."""
    importance_matrix: bool = True
    """Whether quantization looks at which columns count on text of the corpus."""
    compressed: bool = False
    """Whether int4 or int8 weights for vLLM and transformers are made beside the GGUF files (dense Llama and Qwen3 shapes)."""
    importance: ImportanceConfig = ImportanceConfig()
    quantize: QuantizeConfig = QuantizeConfig()
    integers: IntegersConfig = IntegersConfig()
    gate: GateConfig = GateConfig()
    package: PackageConfig = PackageConfig()
    compute: Compute = Compute()

    @model_validator(mode="after")
    def _fits(self) -> "ReleasingSettings":
        """What would only be noticed after everything is computed, or never."""
        if self.package.default not in (None, *self.quantize.types):
            raise ValueError(
                f"package.default is {self.package.default}, and quantize.types are {', '.join(self.quantize.types)}; expected one of them, or null"
            )
        ours = {"quantize.name": self.quantize.name, "package.name": self.package.name, "package.lineage": self.package.lineage}
        for place, given in ours.items():
            if given not in ("model", ()):
                raise ValueError(
                    f"{place} is {given!r}, and the flow sets it; leave it out. The model is named by the parameter `name`"
                )
        return self


class ReleaseSettings(ReleasingSettings):
    """Which model to release, and the text by which it is judged."""

    model: str = "sft@latest"
    """Artifact or Hugging Face folder of the model, with its tokenizer."""
    text: str = "corpus@latest"
    """Artifact of text: what is calibrated on, and what the gate compares on."""
    tokens: str = "tokenize@latest"
    """Artifact that `tokenize` made of it: it says what was held out."""


class ReleaseParameters(Mechanics, ReleaseSettings):
    """Which model to release, the settings of every step, and where it runs."""


def run_name() -> str:
    """What the run does, for lists of runs."""
    p: ReleaseParameters = flow_run.parameters["parameters"]
    return f"release of {p.model} as {p.name}"


@flow(name="release", flow_run_name=run_name, persist_result=False, on_failure=[on_end], on_crashed=[on_end])
def release(parameters: ReleaseParameters) -> dict[str, Any]:
    """A model to GGUF files, compared with it, and a folder for a model hub and for Ollama."""
    p = parameters
    with open_run("release", p.model_dump(mode="json"), p) as run:
        model = given_folder(run.store, p.model)
        make_release(run, p, model, stored(run.store, p.text), stored(run.store, p.tokens))
        return run.summary()


def make_release(
    run: Run, p: ReleasingSettings, model: Given, text: Dataset, tokens: Dataset, evaluation: Dataset | None = None
) -> Dataset:
    """The steps. `evaluation`: an artifact with a report, for the model card."""
    told: dict[str, Given] = {"model": model, "text": text, "tokens": tokens, "compute": p.compute.given()}
    importance: dict[str, Given] = {}
    if p.importance_matrix:
        importance = {"importance": run.stage(IMPORTANCE, p.importance, None, told)}
    named = {"name": p.name}
    quantized: dict[str, Given] = {
        "quantized": run.stage(QUANTIZE, p.quantize.model_copy(update=named), None, importance, model=model)
    }
    if p.compressed:
        quantized["quantized_integers"] = run.stage(INTEGERS, p.integers, None, told)
    gate = run.stage(GATE, p.gate, None, {**told, **quantized})
    show(run, gate, "gate", "The quantized files beside the full-precision model", file="table.md")
    lineage = [node.reference for node in ancestors(run.store, model.snapshot)] if isinstance(model, Dataset) else []
    packing = p.package.model_copy(update=named | {"lineage": tuple(lineage)})
    beside: dict[str, Given] = {"evaluation": evaluation} if evaluation else {}
    package = run.stage(PACKAGE, packing, None, {**quantized, **beside}, model=model, gate=gate)
    run.bar.console.print(f"The package: {escape(run.store.full(package.snapshot.folder))}", soft_wrap=True, highlight=False)
    return package
