"""The ablate flow: the same small model on corpora that differ in one thing: which filter earns its place?

One crawl, one tokenizer, one budget of tokens, the same seeds. The validation sets are drawn before any filter sees a page, and neither
their documents nor near-copies of them are in any training set.
"""

import glob
from itertools import product
from pathlib import Path
from typing import Any, get_args

from prefect import flow
from prefect.artifacts import create_image_artifact, create_markdown_artifact
from pydantic import Field, field_validator

from flows.corpus import CorpusSettings, Filter, extracted, filtered
from flows.curve import address
from flows.identity import Dataset, Given
from flows.notify import on_end
from flows.profiles import Profile, effective
from flows.run import Mechanics, Parameters, Run, open_run
from stages.ablation.compare import COMPARE, CompareConfig
from stages.ablation.hold_out import HOLD_OUT, HoldOutConfig
from stages.ablation.validation import VALIDATION, ValidationConfig
from stages.compute import Compute
from stages.corpus.clusters import CLUSTERS
from stages.corpus.minhash import SIGNATURES
from stages.corpus.simulate import SIMULATE, SimulateConfig
from stages.evaluation.evaluate import EVALUATE_BASE, EvaluateBaseConfig
from stages.pretraining.pretrain import PRETRAIN, PretrainConfig
from stages.tokens.pack import PACK, PackConfig
from stages.tokens.tokenize import TOKENIZE, TokenizeConfig
from stages.tokens.tokenizer import TOKENIZER, TokenizerConfig

FILTERS: tuple[Filter, ...] = get_args(Filter)


class Variant(Parameters):
    """How a corpus differs from the others."""

    profile: Profile = "winnow"
    """Whose recipe."""
    without: list[Filter] = []
    """Filters that are left out."""
    settings: dict[str, dict[str, Any]] = {}
    """Stage -> field -> value, where it differs from the flow's own: {"c4": {"min_sentences": 3}}."""


def one_by_one() -> dict[str, Variant]:
    """The whole recipe, each filter left out in turn, and no filter at all."""
    each = {f"without {name}": Variant(without=[name]) for name in FILTERS if name != "pii"}
    return {"all filters": Variant(), **each, "no filter": Variant(without=list(FILTERS))}


class AblateSettings(CorpusSettings):
    """A crawl, the variants of a corpus made of it, and the model that judges them."""

    sources: list[str] = []
    """Crawl files; empty: the made-up web, whose facts the models are asked about as well."""
    simulate: SimulateConfig = SimulateConfig()
    """Which made-up web."""
    variants: dict[str, Variant] = Field(default_factory=one_by_one, min_length=2)
    """Name -> how this corpus differs. The first is the one that the others are compared with."""
    seeds: int = Field(default=3, ge=1, le=100)
    """Models of each variant; with one there is no interval and no ranking."""
    reference: str = ""
    """File or folder (.parquet, .jsonl) of trusted text to measure on as well; training text that shares 13 words in a row with it goes.
    Empty: of the made-up web the held-out pages that are meant to be kept, of another crawl none."""
    hold_out: HoldOutConfig = HoldOutConfig()
    validation: ValidationConfig = ValidationConfig()
    tokenizer: TokenizerConfig = TokenizerConfig(size=1024)
    tokenize: TokenizeConfig = TokenizeConfig(validation=0.0)
    pack: PackConfig = PackConfig(row_length=256)
    pretrain: PretrainConfig = PretrainConfig(
        preset="demo", tokens=1_000_000, rows=8, validation_every=0, samples_every=0, prompts=(), spike=0.0
    )
    """Spikes are let pass: unfiltered text has pages that are like no other."""
    evaluate_base: EvaluateBaseConfig = EvaluateBaseConfig()
    compute: Compute = Compute()

    @field_validator("variants")
    @classmethod
    def _named(cls, variants: dict[str, Variant]) -> dict[str, Variant]:
        if any("/" in name or not name for name in variants):
            raise ValueError("names of variants must be there and hold no slash")
        return variants


class AblateParameters(Mechanics, AblateSettings):
    """A crawl, the variants, the model that judges them, and where it runs."""


@flow(name="ablate", flow_run_name="which filter earns its place", persist_result=False, on_failure=[on_end], on_crashed=[on_end])
def ablate(parameters: AblateParameters) -> dict[str, Any]:
    """Train the same small model on several variants of a corpus and compare them on fixed validation sets."""
    p = parameters
    with open_run("ablate", p.model_dump(mode="json"), p) as run:
        crawl = None if p.sources else run.stage(SIMULATE, p.simulate)
        if crawl:
            folder = glob.escape(f"{p.store.rstrip('/')}/{crawl.snapshot.folder}")
            named = p.records.model_copy(update={"dump": p.simulate.dump})
            p = p.model_copy(update={"sources": [f"{folder}/*.warc.gz"], "records": named})
        held = hold_out(run, p)
        sets = validation_sets(run, p, held, crawl)
        corpora = {name: filtered(run, corpus_settings(p, variant), held, f" {name}") for name, variant in p.variants.items()}
        made = compared(run, p, corpora, sets, crawl)
        for name in ("report.md", "comparison.svg"):
            text = run.store.read(f"{made.snapshot.folder}/{name}").decode("utf-8")
            if name == "report.md":
                create_markdown_artifact(markdown=text, key="ablation", description="Which filter earns its place")
                run.bar.console.print(text, markup=False)
            else:
                create_image_artifact(image_url=address(text), key="ablation-plot", description="Differences and intervals")
        return run.summary()


def corpus_settings(p: AblateSettings, variant: Variant) -> CorpusSettings:
    """The flow's settings of the corpus, with what this variant changes. Raises ValidationError for a setting that is none."""
    values = {
        name: getattr(p, name).model_dump() if hasattr(getattr(p, name), "model_dump") else getattr(p, name)
        for name in CorpusSettings.model_fields
    }
    for stage, fields in variant.settings.items():
        values[stage] = {**values.get(stage, {}), **fields}
    settings = CorpusSettings.model_validate(values | {"without": variant.without, "profile": variant.profile})
    return effective(settings, settings.profile)


def hold_out(run: Run, p: AblateSettings) -> Dataset:
    """All texts of the crawl, those set aside marked, with all that is nearly the same."""
    texts = extracted(run, p)
    signatures = run.stage(SIGNATURES, p.signatures, texts)
    clusters = run.stage(CLUSTERS, p.clusters, signatures=signatures)
    return run.stage(HOLD_OUT, p.hold_out, texts, removed=clusters)


def validation_sets(run: Run, p: AblateSettings, held: Dataset, crawl: Dataset | None) -> dict[str, Given]:
    """Name -> texts that nothing is trained on."""
    sets: dict[str, Given] = {"all text": run.stage(VALIDATION, p.validation, held=held)}
    if p.reference:
        sets["reference"] = Path(p.reference)
    elif crawl:
        sets["reference"] = run.stage(VALIDATION, p.validation, label="validation reference", held=held, crawl=crawl)
    return sets


def compared(run: Run, p: AblateSettings, corpora: dict[str, Dataset], sets: dict[str, Given], crawl: Dataset | None) -> Dataset:
    """A model for each corpus and seed, its scores on each set, and the comparison of all."""
    first = next(iter(corpora))
    pieces = run.stage(TOKENIZER, p.tokenizer, docs=corpora[first])
    evaluations: dict[str, Given] = {"evaluations": Path(p.reference)} if p.reference else {}
    given: dict[str, Given] = {}
    for name, corpus in corpora.items():
        tokens = run.stage(TOKENIZE, p.tokenize, corpus, evaluations, label=f"tokenize {name}", tokenizer=pieces)
        given[name] = run.stage(PACK, p.pack, label=f"pack {name}", tokenizer=pieces, corpus=tokens)
    compute = p.compute.given()
    for name, seed in product(corpora, range(p.seeds)):
        config = p.pretrain.model_copy(update={"seed": p.pretrain.seed + seed})
        model = run.stage(
            PRETRAIN, config, label=f"pretrain {name} {seed}", tokens=given[name], tokenizer=pieces, compute=compute
        )
        given[f"{name}/{seed}"] = model
        for place, (where, texts) in enumerate(sets.items()):
            asked: dict[str, Given] = {"crawl": crawl} if crawl and place == 0 else {}
            label = f"evaluate {name} {seed} {where}"
            given[f"{name}/{seed}/{where}"] = run.stage(
                EVALUATE_BASE, p.evaluate_base, None, asked, label=label, model=model, held_out=texts, compute=compute
            )
    return run.stage(COMPARE, CompareConfig(baseline=first), None, given)
